// The browser of samples: a list that filters, and one sample at a time.
"use strict";

(() => {
  const { el, link, number, select, say } = Site.dom;

  const OUTCOMES = [["", "all"], ["h", "hits"], ["m", "misses"], ["f", "format failures"], ["e", "failed"]];
  const SIGNS = { h: ["✓", "hit"], m: ["✗", "miss"], f: ["?", "format failure"] };
  const PAGE = 100; // lines of the list at once

  // What a run's index and its set's index say of every sample.
  Site.openRun = async (id) => {
    const [run, answers] = await Promise.all([Site.load(`runs/${id}/run`), Site.load(`runs/${id}/index`)]);
    const set = await Site.load(`sets/${run.set}/index`);
    const numbers = answers.numbers.flatMap(([first, length]) => Array.from({ length }, (_, i) => first + i));
    const failed = new Set(answers.failed);
    const outcomes = new Map(answers.outcomes);
    return {
      ...run, id, numbers, set: run.set, slices: set.slices, pictures: set.pictures,
      outcome: (i, protocol) => (outcomes.get(protocol) || "")[i],
      failed: (i) => failed.has(i),
      sample: async (number) => (await Site.load(`sets/${run.set}/${Math.floor(number / set.shard)}`))[number % set.shard],
      answer: async (i) => (await Site.load(`runs/${id}/${Math.floor(i / answers.shard)}`))[i % answers.shard],
    };
  };

  // `category=counting` -> whether a sample with this number is in the slice.
  Site.inSlice = (slices, wanted) => {
    if (!wanted) return () => true;
    const valueOf = (column) => (wanted.startsWith(`${column.name}=`) ? column.values.indexOf(wanted.slice(column.name.length + 1)) : -1);
    const column = slices.find((each) => valueOf(each) >= 0); // not by name alone: one may begin as another does
    const value = column ? valueOf(column) : -1;
    return (number) => value >= 0 && column.of[number] === value;
  };

  Site.sliceChoices = (slices) => [["", "all"], ...slices.flatMap((column) => (column.values.length > 60 ? [] : column.values.map((value) => [`${column.name}=${value}`, `${column.name}: ${value}`])))];

  Site.mark = (outcome, failed) => {
    const [sign, word] = failed ? ["!", "failed"] : SIGNS[outcome];
    return el("span", { class: `outcome ${failed ? "e" : outcome}`, title: word }, el("span", { "aria-hidden": "true" }, sign), el("span", { class: "unseen" }, word));
  };

  // Text and numbers of an answer.
  Site.answerFacts = (answer, protocol) => {
    const values = (answer.values.find(([name]) => name === protocol) || ["", []])[1];
    const facts = values.map(([name, value]) => [name, number(value, 3)]);
    if (answer.form) facts.push(["form", answer.form]);
    if (answer.tokens !== undefined) facts.push(["tokens", answer.tokens]);
    if (answer.seconds !== undefined) facts.push(["seconds", number(answer.seconds, 3)]);
    const points = (answer.points || []).slice(0, 40).map(([x, y, time, , id], i) => `${id ?? i + 1}: ${number(x)}, ${number(y)}${typeof time === "number" ? ` at ${time.toFixed(2)} s` : ""}`);
    const all = (answer.points || []).length + (answer.more || 0);
    return [
      answer.error ? el("p", { class: "error" }, `failed: ${answer.error}`) : null,
      el("pre", { class: "text" }, answer.text || "(no text)"),
      el("dl", { class: "facts small" }, facts.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))),
      points.length ? el("details", {}, el("summary", {}, `${all} ${all === 1 ? "point" : "points"}`), el("p", { class: "points" }, points.join("; "), all > points.length ? "; ..." : "")) : null,
    ];
  };

  Site.targetFacts = (sample) => el("dl", { class: "facts small" }, [["sample", sample.id], sample.target.says ? ["right is", sample.target.says] : null, ...sample.slices].filter(Boolean)
    .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));

  // The address of what is shown, a moment later: browsers refuse to change it as often as a key that is held down.
  let writing = 0;
  Site.remember = (address) => {
    const from = location.hash;
    clearTimeout(writing);
    writing = setTimeout(() => location.hash === from && history.replaceState(null, "", address), 150);
  };

  // A list of samples beside what shows one of them. indices: those that fit; line(i): what the list says of one.
  Site.stepper = (indices, line, show, start) => {
    let at = Math.max(0, indices.indexOf(start));
    let first = null;
    const list = el("ol", { class: "samples", "aria-label": "Samples" });
    const place = el("span", { class: "place" });

    function drawList() {
      const from = Math.floor(at / PAGE) * PAGE;
      const inside = list.contains(document.activeElement);
      if (from !== first) {
        first = from;
        list.replaceChildren(...indices.slice(first, first + PAGE).map((i, k) =>
          el("li", {}, el("button", { type: "button", tabindex: -1, onclick: () => go(from + k) }, line(i)))));
      }
      // One line is in the tab order; arrows move from it.
      for (const each of list.querySelectorAll("[aria-current]")) {
        each.removeAttribute("aria-current");
        each.tabIndex = -1;
      }
      const current = list.children[at - first].firstChild;
      current.setAttribute("aria-current", "true");
      current.tabIndex = 0;
      if (inside) current.focus({ preventScroll: true });
      // The list alone: the page stays where it is. It runs down the side, or on a phone across.
      list.scrollTop = current.offsetTop - list.clientHeight / 2;
      list.scrollLeft = current.offsetLeft - list.clientWidth / 2;
    }

    function go(to) {
      if (!indices.length) return null;
      at = Math.min(Math.max(0, to), indices.length - 1);
      place.textContent = `${at + 1} of ${indices.length}`;
      drawList();
      say(`Sample ${at + 1} of ${indices.length}`);
      return show(indices[at]).catch((error) => { place.textContent = error.message; });
    }

    list.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      go(at + by);
    });

    const bar = el("div", { class: "stepper" }, el("button", { type: "button", onclick: () => go(at - 1), title: "k" }, "← previous"), place, el("button", { type: "button", onclick: () => go(at + 1), title: "j" }, "next →"));
    if (!indices.length) place.textContent = "no sample fits";
    return { list, bar, begin: () => go(at), step: (by) => go(at + by) };
  };

  async function browserPage(id, sampleNumber, query) {
    const run = await Site.openRun(id);
    const protocol = run.protocols.some((each) => each.name === query.get("protocol")) ? query.get("protocol") : run.protocols[0].name;
    const wanted = { outcome: query.get("outcome") || "", slice: query.get("slice") || "" };
    const inSlice = Site.inSlice(run.slices, wanted.slice);
    const fits = (i) => inSlice(run.numbers[i]) && (!wanted.outcome || (wanted.outcome === "e" ? run.failed(i) : run.outcome(i, protocol) === wanted.outcome));
    const all = run.numbers.map((_, i) => i);
    const indices = all.filter(fits);
    const address = (number, changes) => link(["run", id, "samples", ...(number === null ? [] : [String(number)])], { protocol: protocol === run.protocols[0].name ? "" : protocol, ...wanted, ...changes });
    const go = (changes) => { location.hash = address(null, changes); };

    const stage = el("div", { class: "stage" }, indices.length ? null : el("p", {}, "No sample fits these filters."));
    let view = null, zoomed = false, turn = 0;

    async function show(i) {
      const mine = ++turn;
      Site.remember(address(run.numbers[i]));
      const [sample, answer] = await Promise.all([run.sample(run.numbers[i]), run.answer(i)]);
      if (mine !== turn) return; // another was asked for meanwhile
      view = Site.drawing.view(sample, [{ ...answer, kind: "a" }], `Sample ${sample.id}: ${(answer.points || []).length} points predicted`);
      if (zoomed) view.zoom(true);
      stage.replaceChildren(view.element, el("div", { class: "about" },
        el("p", { class: "prompt" }, answer.prompt), el("p", {}, Site.mark(run.outcome(i, protocol), run.failed(i)), " ", run.failed(i) ? "failed" : SIGNS[run.outcome(i, protocol)][1]),
        Site.answerFacts(answer, protocol), Site.targetFacts(sample), Site.drawingKey([["a", run.model]])));
    }

    const line = (i) => [Site.mark(run.outcome(i, protocol), run.failed(i)), ` ${run.numbers[i]}`];
    const start = sampleNumber === undefined ? undefined : run.numbers.indexOf(Number(sampleNumber));
    const stepper = Site.stepper(indices, line, show, start);
    const count = (key) => all.filter((i) => inSlice(run.numbers[i]) && (!key || (key === "e" ? run.failed(i) : run.outcome(i, protocol) === key))).length;
    const outcomes = OUTCOMES.map(([key, text]) => [key, `${text} (${count(key)})`]);
    const filters = el("div", { class: "filters", role: "group", "aria-label": "Filters" },
      select("Outcome", outcomes, wanted.outcome, (outcome) => go({ outcome })),
      run.slices.length ? select("Slice", Site.sliceChoices(run.slices), wanted.slice, (slice) => go({ slice })) : null,
      run.protocols.length > 1 ? select("Protocol", run.protocols.map((each) => [each.name, each.name]), protocol, (name) => go({ protocol: name })) : null);

    const actions = {
      begin: stepper.begin,
      step: stepper.step,
      filter: () => {
        const keys = OUTCOMES.map(([key]) => key).filter((key) => !key || count(key));
        go({ outcome: keys[(keys.indexOf(wanted.outcome) + 1) % keys.length] });
      },
      zoom: () => { zoomed = !zoomed; if (view) view.zoom(zoomed); },
      frame: (by) => view && view.step(by),
    };
    const content = [
      el("h1", {}, "Samples", el("small", {}, " of ", el("a", { href: link(["run", id]) }, `${run.model} on ${run.benchmark}`))),
      filters, run.pictures ? el("p", { class: "remark" }, run.pictures) : null,
      el("div", { class: "browser" }, el("div", { class: "side" }, stepper.bar, stepper.list), stage),
    ];
    return { content, actions };
  }

  Site.drawingKey = (answers) => el("ul", { class: "key drawing" }, el("li", {}, el("span", { class: "swatch truth" }, "+"), " target"),
    answers.map(([kind, name]) => el("li", {}, el("span", { class: `swatch ${kind}` }, "○"), ` ${name}`)));

  Site.browserPage = browserPage;
})();
