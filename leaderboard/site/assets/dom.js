// Elements, numbers and links. Text reaches the page through text nodes alone: what a model wrote is never markup.
"use strict";

Site.dom = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  // Characters that turn the direction of all that follows, as what they are: `\u202e`.
  const visible = (text) => text.replace(/[\u202a-\u202e\u2066-\u2069]/g, (each) => `\\u${each.charCodeAt(0).toString(16)}`);

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    for (const child of children.flat(Infinity)) {
      if (child !== null && child !== undefined && child !== false) element.append(typeof child === "string" ? visible(child) : child);
    }
    return element;
  }

  // el("a", {href: "#/"}, "text", otherElement): strings become text nodes.
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

  // A link within the site: link("run", id) -> #/run/ID; query: pairs that are not empty.
  function link(parts, query) {
    const path = "#/" + parts.map(encodeURIComponent).join("/");
    const pairs = Object.entries(query || {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
    return pairs.length ? path + "?" + new URLSearchParams(pairs) : path;
  }

  // A share in percent, as Python prints it in every other place: of 6.25, which lies between, the even 6.2.
  function tenths(value) {
    const percent = 100 * value;
    return (percent % 1 === 0.25 ? percent - 0.01 : percent).toFixed(1);
  }

  function percent(value) {
    return value === null || value === undefined ? "-" : tenths(value);
  }

  function interval(ends) {
    return ends && ends[0] !== null ? `${percent(ends[0])} to ${percent(ends[1])}` : "";
  }

  function number(value, digits = 1) {
    return value === null || value === undefined ? "-" : value.toFixed(digits);
  }

  const signed = (value) => (value >= 0 ? "+" : "−") + tenths(Math.abs(value));

  // Of a permutation test, which draws 10,000 patterns: it is never 0.
  const pValue = (p) => (p < 0.001 ? "< 0.001" : p.toFixed(3));

  function select(label, options, value, onchange) {
    const choices = options.map(([key, text]) => el("option", { value: key, selected: key === value }, text));
    return el("label", { class: "choice" }, el("span", {}, label), el("select", { name: label, onchange: (event) => onchange(event.target.value) }, choices));
  }

  // Told to screen readers.
  function say(text) {
    document.getElementById("status").textContent = text;
  }

  return { el, svg, link, percent, interval, number, signed, pValue, select, say };
})();
