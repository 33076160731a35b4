"""The miniatures' tokenizer: byte-level, with a whole token for every word that a scene's texts contain.

As in the released models' tokenizer (Qwen3), digits are single tokens and any text is encoded and decoded without
loss. Only the merges differ: a known word is one token, everything else falls apart into bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpeval.benchmarks.scenes import VOCABULARY

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END_OF_TEXT = "<|endoftext|>"
END_OF_TURN = "<|im_end|>"
CONTROL = (END_OF_TEXT, "<|im_start|>", END_OF_TURN)
"""Control tokens of the base vocabulary; END_OF_TEXT begins a prompt, END_OF_TURN ends an answer."""

SPECIAL = (
    "<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<|image|>", "<im_low>",
    "<frame_start>", "<frame_end>", "<|video|>", "<|points|>", "<|token_index|>", "<|vit_index|>", "<|vit_loc|>",
)  # fmt: skip
"""The released special tokens in their order, from the size of the base vocabulary on."""
PATCH, SUBPATCH, LOCATION = "<|token_index|>", "<|vit_index|>", "<|vit_loc|>"
EXTRA_VOCABULARY = 128
"""Rows kept for special tokens, as in the release."""

PHRASES = (
    "user assistant describe the picture There are none Counting shows a total of points point coords Image"
)
MARKS = ('="', '">', "</")
"""Runs of symbols that byte-level splitting keeps together."""


def base_vocabulary() -> dict[str, int]:
    """Token -> id: the 256 bytes, then marks and words (with and without a leading space), then control tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    words = sorted({*(word for word in VOCABULARY if word.isalpha()), *PHRASES.split()})
    space = "\u0120"  # how byte-level tokenizers write a space
    tokens = [
        *sorted(ByteLevel.alphabet()),
        *MARKS,
        f"{space},",
        *words,
        *(space + word for word in words),
        *CONTROL,
    ]
    return {token: i for i, token in enumerate(dict.fromkeys(tokens))}


def build_tokenizer() -> Tokenizer:
    """The tokenizer as a `tokenizers` object; `save(path)` writes tokenizer.json. The same at every call."""
    from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE

    tokenizer = Tokenizer(BPE(base_vocabulary(), [], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token in (*CONTROL, *SPECIAL)]
    )
    return tokenizer
