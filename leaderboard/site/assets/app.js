// Which page is shown, and the keys.
"use strict";

(() => {
  const { el, say } = Site.dom;
  const main = document.getElementById("main");
  const KEYS = [
    ["j, →", "next sample"], ["k, ←", "previous sample"], ["f", "next filter: all, hits, misses, ..."], ["z", "close to the target, or the whole picture"],
    [", and .", "a clip's frame before or after"], ["t", "light or dark"], ["g", "the first page"], ["?", "these keys"], ["Esc", "close"],
  ];

  let index = null;
  let actions = {}; // of the page that is shown: its keys, and what it begins with

  Site.benchmarkId = (name) => (index.benchmarks.find((each) => each.name === name) || { id: name }).id;

  // --- pages ------------------------------------------------------------------------------------------

  // Gives the page's content, or {content, actions}.
  async function pageOf(parts, query) {
    const [kind, id, second, third] = parts;
    if (!kind) return Site.pages.home(index);
    if (kind === "table") return Site.pages.tablePage(id);
    if (kind === "benchmark") return Site.pages.benchmarkPage(index, id, query);
    if (kind === "run" && second === "samples") return Site.browserPage(id, third, query);
    if (kind === "run") return Site.runPage(index, id, query);
    if (kind === "compare") return Site.comparePage(id, second, third, query);
    if (Object.hasOwn(Site.pages.pages, kind)) return Site.pages.pages[kind](index);
    throw new Error("There is no such page here");
  }

  let turn = 0;

  // Gives whether the page was shown: a later one may have been asked for meanwhile.
  async function route() {
    const mine = ++turn;
    const [path, search] = location.hash.slice(1).split("?");
    const known = ["table", "benchmark", "run", "compare"];
    let page;
    try {
      index = index || await Site.load("index");
      const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
      // A name in an address becomes a file's name: only such as the site itself makes.
      if (known.includes(parts[0]) && parts.slice(1, 3).some((part) => !/^[a-z0-9][a-z0-9.-]*$/.test(part))) throw new Error("There is no such page here");
      page = await pageOf(parts, new URLSearchParams(search || ""));
    } catch (error) {
      page = [el("h1", {}, "Not here"), el("p", {}, `${error.message}. `, el("a", { href: "#/" }, "To the first page"))];
    }
    if (mine !== turn) return false;
    const content = page.content || page;
    actions = page.actions || {};
    main.replaceChildren(...content.flat(Infinity).filter((each) => each !== null && each !== undefined && each !== false));
    const heading = main.querySelector("h1");
    document.title = heading ? `${heading.textContent} - mpeval` : "mpeval";
    for (const each of document.querySelectorAll("header nav a")) {
      if (each.getAttribute("href") === `#${path}`) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
    main.append(el("footer", {}, `Built on ${index ? index.built : "?"} with mpeval ${index ? index.mpeval : "?"}. Nothing on this page comes from elsewhere.`));
    if (actions.begin) await actions.begin();
    return mine === turn;
  }

  // Without its sample and its filters.
  const place = () => location.hash.split("?")[0].split("/").slice(0, 4).join("/");

  // A page of its own starts at its top; another filter of the same page stays where it is, and keeps the keyboard.
  let last = place();
  window.addEventListener("hashchange", async () => {
    const same = place() === last;
    last = place();
    const choice = document.activeElement?.name;
    const from = window.scrollY;
    if (!await route()) return;
    window.scrollTo(0, same ? from : 0);
    const again = same && choice ? main.querySelector(`select[name="${CSS.escape(choice)}"]`) : null;
    (again || main).focus({ preventScroll: true });
  });

  // --- keys -------------------------------------------------------------------------------------------

  function toggleTheme() {
    say(`${Site.theme.toggle()} theme`);
  }

  const dialog = el("dialog", { "aria-labelledby": "keys" }, el("h2", { id: "keys" }, "Keys"),
    el("dl", { class: "keys" }, KEYS.map(([key, text]) => [el("dt", {}, key), el("dd", {}, text)])),
    el("form", { method: "dialog" }, el("button", {}, "Close")));
  document.body.append(dialog);
  document.getElementById("help").addEventListener("click", () => dialog.showModal());
  document.getElementById("theme").addEventListener("click", toggleTheme);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault(); // its address would be taken for a page's
    main.focus();
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    if (event.target.matches("select, textarea, input:not([type=range])")) return;
    const slides = event.target.matches("input[type=range]");
    const steps = { j: 1, ArrowRight: 1, k: -1, ArrowLeft: -1 };
    if (Object.hasOwn(steps, event.key) && actions.step && !(slides && event.key.startsWith("Arrow"))) actions.step(steps[event.key]);
    else if (event.key === "f" && actions.filter) actions.filter();
    else if (event.key === "z" && actions.zoom) actions.zoom();
    else if ((event.key === "," || event.key === ".") && actions.frame) actions.frame(event.key === "." ? 1 : -1);
    else if (event.key === "t") toggleTheme();
    else if (event.key === "g") location.hash = "#/";
    else if (event.key === "?") dialog.showModal();
    else if (event.key === "Escape") for (const each of document.querySelectorAll(".details:not([hidden]) .close")) each.click();
    else return;
    event.preventDefault();
  });

  route();
})();
