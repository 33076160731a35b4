// The lists of tables, benchmarks and runs, and the page of a benchmark.
"use strict";

(() => {
  const { el, link, percent, interval, number, signed, pValue } = Site.dom;

  const runColumns = [
    { label: "Model", value: (run) => run.model, cell: (run) => [el("a", { href: link(["run", run.id]) }, run.model), run.shard ? el("small", {}, ` shard ${run.shard}`) : null] },
    { label: "Benchmark", value: (run) => run.benchmark, cell: (run) => el("a", { href: link(["benchmark", Site.benchmarkId(run.benchmark)]) }, run.benchmark) },
    { label: "Protocol", value: (run) => run.protocol },
    { label: "Metric", value: (run) => run.metric },
    { label: "%", numeric: true, value: (run) => run.value, cell: (run) => percent(run.value) },
    { label: "95 % interval", numeric: true, value: (run) => run.interval && run.interval[0], cell: (run) => interval(run.interval) || "-" },
    { label: "Samples", numeric: true, value: (run) => run.samples, cell: (run) => Site.pages.share(run) },
    { label: "Failed", numeric: true, value: (run) => run.failed, cell: (run) => String(run.failed) },
    { label: "Tokens a point", numeric: true, first: 1, value: (run) => run.tokens_per_point, cell: (run) => number(run.tokens_per_point) },
    { label: "Seconds a sample", numeric: true, first: 1, value: (run) => run.seconds, cell: (run) => number(run.seconds, 3) },
    { label: "", value: () => null, cell: (run) => el("a", { href: link(["run", run.id, "samples"]) }, "samples") },
  ];

  // `24 of 252`: a part says so wherever it is shown.
  const share = (run) => (run.samples < run.of ? `${run.samples} of ${run.of}` : String(run.samples));

  // The same run without the columns that are the same for all.
  const ofBenchmark = runColumns.filter((column) => column.label !== "Benchmark");

  function tableList(index) {
    return el("ul", { class: "list" }, index.tables.map((table) =>
      el("li", {}, el("a", { href: link(["table", table.shard]) }, table.number ? el("span", { class: "number" }, table.number) : null, table.title),
        table.measured ? el("span", { class: "badge" }, "with runs") : null)));
  }

  function benchmarkList(index) {
    return el("ul", { class: "list" }, index.benchmarks.map((each) =>
      el("li", {}, el("a", { href: link(["benchmark", each.id]) }, each.title), " ",
        el("small", {}, [each.name, each.size ? `${each.size} samples` : null, each.media, each.runs ? `${each.runs} runs` : null].filter(Boolean).join(" · ")))));
  }

  function runList(index, caption) {
    if (!index.runs.length) return el("p", {}, "This site was built without runs: ", el("code", {}, "mpeval leaderboard build --runs DIR"), " adds them.");
    return Site.table(caption, runColumns, index.runs);
  }

  async function home(index) {
    const measured = index.tables.filter((table) => table.measured);
    const first = measured.find((table) => !table.number) || measured[0] || index.tables[0];
    const table = first ? await Site.load(`tables/${first.shard}`) : null;
    return [
      el("h1", {}, "How well models point"),
      el("p", { class: "lead" }, "Vision-language models that point in images, on screens and in video: published numbers beside our own runs, with their uncertainty, down to the picture that went wrong."),
      table ? [el("h2", {}, el("a", { href: link(["table", first.shard]) }, table.heading)), Site.results(table)] : null,
      el("div", { class: "columns" },
        el("section", {}, el("h2", {}, "Tables"), tableList(index)),
        el("section", {}, el("h2", {}, "Benchmarks"), benchmarkList(index))),
    ];
  }

  const pages = {
    tables: (index) => [el("h1", {}, "Tables"), el("p", {}, `The tables of ${index.paper.title} (${index.paper.authors}), and those of our runs.`), tableList(index)],
    benchmarks: (index) => [el("h1", {}, "Benchmarks"), benchmarkList(index)],
    runs: (index) => [el("h1", {}, "Runs"), runList(index, "Runs")],
  };

  async function tablePage(id) {
    const table = await Site.load(`tables/${id}`);
    return [el("h1", {}, table.heading), Site.results(table)];
  }

  // --- a benchmark ------------------------------------------------------------------------------------

  async function benchmarkPage(index, id, query) {
    const data = await Site.load(`benchmarks/${id}`);
    const { card } = data;
    const runs = index.runs.filter((run) => data.runs.includes(run.id));
    const sizes = await Promise.all(runs.map((run) => Site.load(`runs/${run.id}/run`)));
    const tables = index.tables.filter((table) => data.tables.includes(table.id));
    const contents = await Promise.all(tables.map((table) => Site.load(`tables/${table.shard}`)));
    return [
      el("h1", {}, card.title),
      el("p", { class: "lead" }, card.description),
      facts([["Name", card.name], ["Samples", card.size ?? "not known"], ["Media", card.media || "image"], ["Licence", card.license], ["Source", card.source], ["Revision", card.revision], ["Cite", card.citation]]),
      runs.length ? [el("h2", {}, "Runs"), Site.table(`Runs on ${card.title}`, ofBenchmark, runs), plots(runs, sizes, data.size_bins), comparisons(data, runs)] : el("p", {}, "No run of ours on it is here."),
      el("h2", {}, "Protocols"), protocols(data, query.get("protocol")),
      contents.map((table, i) => [el("h2", {}, el("a", { href: link(["table", tables[i].shard]) }, table.heading)), Site.results(table, card.name)]),
    ];
  }

  function facts(pairs) {
    return el("dl", { class: "facts" }, pairs.filter(([, value]) => value !== "" && value !== null && value !== undefined)
      .map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  }

  // Of the runs with one metric under one protocol, that which most of them share: others are no neighbours in a plot.
  function plots(all, everything, sizeBins) {
    const alike = (one) => all.filter((run) => run.protocol === one.protocol && run.metric === one.metric);
    const runs = all.map(alike).sort((a, b) => b.length - a.length)[0];
    const { protocol, metric } = runs[0];
    const details = runs.map((run) => everything[all.indexOf(run)]);
    const costed = runs.filter((run) => run.tokens_per_point !== null && run.value !== null);
    const bins = sizeBins.filter((bin) => details.some((run) => run.sizes.some(([name]) => name === bin)));
    const values = (run) => bins.map((bin) => (run.sizes.find(([name]) => name === bin) || [bin, null]).slice(1)).map((value) => (value[0] === null ? null : value));
    const series = details.map((run, i) => ({ name: run.model, style: i, values: values(run) })).filter((each) => each.values.some(Boolean));
    return el("div", { class: "figures" },
      costed.length ? Site.plots.scatter(`${metric} against tokens a point, protocol ${protocol}`, costed.map((run) => ({ name: run.model, style: runs.indexOf(run), x: Number(run.tokens_per_point.toFixed(2)), y: run.value, interval: run.interval })), "tokens a point", `${metric}, %`) : null,
      bins.length > 1 && series.length ? Site.plots.lines(`${metric} against size of target, protocol ${protocol}${series.length > 6 ? `, 6 of ${series.length} runs` : ""}`, bins, series.slice(0, 6), "side of the target, % of the picture's", `${metric}, %`) : null);
  }

  function comparisons(data, runs) {
    if (runs.length < 2) return null;
    const model = new Map(runs.map((run) => [run.id, run.model]));
    const columns = [
      { label: "A", value: (each) => model.get(each.a), cell: (each) => el("div", { class: "name" }, model.get(each.a)) },
      { label: "B", value: (each) => model.get(each.b), cell: (each) => el("div", { class: "name" }, model.get(each.b)) },
      { label: "B − A, points", numeric: true, value: (each) => each.difference, cell: (each) => signed(each.difference) },
      { label: "95 % interval", numeric: true, value: (each) => each.interval && each.interval[0], cell: (each) => (each.interval ? `${signed(each.interval[0])} to ${signed(each.interval[1])}` : "-") },
      { label: "p", numeric: true, first: 1, value: (each) => each.p, cell: (each) => pValue(each.p) },
      { label: "B better", numeric: true, value: (each) => each.wins, cell: (each) => String(each.wins) },
      { label: "B worse", numeric: true, value: (each) => each.losses, cell: (each) => String(each.losses) },
      { label: "Samples", numeric: true, value: (each) => each.samples, cell: (each) => String(each.samples) },
      { label: "", value: () => null, cell: (each) => el("a", { href: link(["compare", each.a, each.b]) }, "side by side") },
    ];
    if (!data.differences.length) return null;
    const [first] = data.differences;
    return [el("h2", {}, "Two runs on the same samples"), el("p", {}, `Protocol ${first.protocol}, mean ${first.metric} over the samples that both have; the interval and the test take pictures, not samples, as independent.`), Site.table("Differences", columns, data.differences)];
  }

  function protocols(data, named) {
    const elicitation = new Map(data.elicitations.map((each) => [each.name, each]));
    const heads = ["Asked", "Scorer", "Source", "Differs", "Status"];
    const line = (each) => [asked(elicitation.get(each.elicitation)), each.scorer, each.source, each.differs || "-", each.verified ? "verified" : "unverified"];
    return el("div", { class: "scroll" }, el("table", { class: "plain wrap" },
      el("thead", {}, el("tr", {}, ["Protocol", ...heads].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", {}, data.protocols.map((each) => el("tr", { class: each.name === named ? "named" : null },
        el("th", { scope: "row" }, each.name), line(each).map((text, i) => el("td", { "data-head": heads[i] }, el("div", {}, text))))))));
  }

  function asked(elicitation) {
    if (!elicitation) return "";
    const limits = [["max_new_tokens", "tokens"], ["max_crops", "crops"], ["max_frames", "frames"]].filter(([key]) => elicitation[key]).map(([key, word]) => `${elicitation[key]} ${word}`);
    return [`${elicitation.name}: `, el("q", {}, elicitation.template ?? "{query}"), limits.length ? ` (at most ${limits.join(", ")})` : ""];
  }

  Site.pages = { home, pages, tablePage, benchmarkPage, facts, share };
})();
