"""Text to points and counts. No parser here raises, whatever the text."""
