// Two runs on the same samples, side by side.
"use strict";

(() => {
  const { el, link, percent, signed, pValue, select } = Site.dom;

  const right = (outcome) => outcome === "h";
  const GROUPS = [
    ["", "all", () => true],
    ["differ", "one is right", (a, b) => right(a) !== right(b)],
    ["a", "A right, B wrong", (a, b) => right(a) && !right(b)],
    ["b", "B right, A wrong", (a, b) => !right(a) && right(b)],
    ["both", "both right", (a, b) => right(a) && right(b)],
    ["neither", "both wrong", (a, b) => !right(a) && !right(b)],
  ];

  async function comparePage(idA, idB, sampleNumber, query) {
    const [a, b] = await Promise.all([Site.openRun(idA), Site.openRun(idB)]);
    if (a.set !== b.set) return [el("h1", {}, "Side by side"), el("p", {}, "These two runs are not on the same samples.")];
    const names = a.protocols.map((each) => each.name).filter((name) => b.protocols.some((each) => each.name === name));
    const protocol = names.includes(query.get("protocol")) ? query.get("protocol") : names[0];
    const wanted = { group: query.get("group") || "", slice: query.get("slice") || "" };

    // Pairs of indices, one into either run.
    const ofB = new Map(b.numbers.map((number, i) => [number, i]));
    const inSlice = Site.inSlice(a.slices, wanted.slice);
    const pairs = a.numbers.map((number, i) => [i, ofB.get(number), number]).filter(([, j, number]) => j !== undefined && inSlice(number));
    const outcomes = pairs.map(([i, j]) => [a.outcome(i, protocol), b.outcome(j, protocol)]);
    const test = (GROUPS.find(([key]) => key === wanted.group) || GROUPS[0])[2];
    const indices = pairs.map((_, k) => k).filter((k) => test(...outcomes[k]));
    const address = (number, changes) => link(["compare", idA, idB, ...(number === null ? [] : [String(number)])], { protocol: protocol === names[0] ? "" : protocol, ...wanted, ...changes });
    const go = (changes) => { location.hash = address(null, changes); };
    const count = (each) => outcomes.filter((pair) => each(...pair)).length;

    const stage = el("div", { class: "stage pair" });
    let views = [], zoomed = false, turn = 0;

    async function show(k) {
      const mine = ++turn;
      const [i, j, number] = pairs[k];
      Site.remember(address(number));
      const [sample, ...answers] = await Promise.all([a.sample(number), a.answer(i), b.answer(j)]);
      if (mine !== turn) return;
      views = answers.map((answer, side) => Site.drawing.view(sample, [{ ...answer, kind: "ab"[side] }], `Sample ${sample.id}, answer ${"AB"[side]}`));
      if (zoomed) views.forEach((view) => view.zoom(true));
      // One slider moves both clips.
      for (const view of views) view.element.addEventListener("input", (event) => views.forEach((each) => each.seek(Number(event.target.value))));
      stage.replaceChildren(
        el("p", { class: "prompt" }, answers[0].prompt), answers[1].prompt !== answers[0].prompt ? el("p", { class: "prompt" }, `B was asked: ${answers[1].prompt}`) : "",
        el("div", { class: "sides" }, [a, b].map((run, side) => el("section", {},
          el("h2", {}, `${"AB"[side]}: ${run.model} `, Site.mark(outcomes[k][side], run.failed(pairs[k][side]))), views[side].element, Site.answerFacts(answers[side], protocol)))),
        Site.targetFacts(sample), Site.drawingKey([["a", `A, ${a.model}`], ["b", `B, ${b.model}`]]));
    }

    const line = (k) => [Site.mark(outcomes[k][0], a.failed(pairs[k][0])), Site.mark(outcomes[k][1], b.failed(pairs[k][1])), ` ${pairs[k][2]}`];
    const start = sampleNumber === undefined ? undefined : pairs.findIndex(([, , number]) => number === Number(sampleNumber));
    const stepper = Site.stepper(indices, line, show, start);
    const order = GROUPS.map(([key]) => key);
    const actions = {
      begin: stepper.begin,
      step: stepper.step,
      filter: () => go({ group: order[(order.indexOf(wanted.group) + 1) % order.length] }),
      zoom: () => { zoomed = !zoomed; views.forEach((view) => view.zoom(zoomed)); },
      frame: (by) => views.forEach((view) => view.step(by)),
    };
    const content = [
      el("h1", {}, "Side by side", el("small", {}, " on ", el("a", { href: link(["benchmark", Site.benchmarkId(a.benchmark)]) }, a.benchmark))),
      el("p", {}, "A is ", el("a", { href: link(["run", idA]) }, a.model), ", B is ", el("a", { href: link(["run", idB]) }, b.model), ". ", el("a", { href: link(["compare", idB, idA], wanted.slice ? { slice: wanted.slice } : {}) }, "Swap them"), "."),
      await difference(a, b),
      el("div", { class: "filters", role: "group", "aria-label": "Filters" },
        select("Show", GROUPS.map(([key, text, each]) => [key, `${text} (${count(each)})`]), wanted.group, (group) => go({ group })),
        a.slices.length ? select("Slice", Site.sliceChoices(a.slices), wanted.slice, (slice) => go({ slice })) : null,
        names.length > 1 ? select("Protocol", names.map((name) => [name, name]), protocol, (name) => go({ protocol: name })) : null),
      a.pictures ? el("p", { class: "remark" }, a.pictures) : null,
      el("div", { class: "browser" }, el("div", { class: "side" }, stepper.bar, stepper.list), stage),
    ];
    return { content, actions };
  }

  // What was computed when the site was built, in either order.
  async function difference(a, b) {
    const { differences } = await Site.load(`benchmarks/${Site.benchmarkId(a.benchmark)}`);
    const found = differences.find((each) => [each.a, each.b].sort().join() === [a.id, b.id].sort().join());
    if (!found) return null;
    const sign = found.a === a.id ? 1 : -1;
    const ends = found.interval ? found.interval.map((end) => sign * end).sort((one, other) => one - other) : null;
    const means = sign > 0 ? found.means : [...found.means].reverse();
    const [better, worse] = sign > 0 ? [found.wins, found.losses] : [found.losses, found.wins];
    return el("p", { class: "difference" }, `Mean ${found.metric}, protocol ${found.protocol}: A ${percent(means[0])}, B ${percent(means[1])}; B\u00a0−\u00a0A `, el("b", {}, `${signed(sign * found.difference)} points`),
      ends ? ` (95 % interval ${signed(ends[0])} to ${signed(ends[1])})` : "", `, p\u00a0${pValue(found.p).startsWith("<") ? "" : "=\u00a0"}${pValue(found.p).replace(" ", "\u00a0")}; B better on ${better}, worse on ${worse}, equal on ${found.ties} of ${found.samples} samples.`);
  }

  Site.comparePage = comparePage;
})();
