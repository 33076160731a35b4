// The page of a run: scores under every protocol, slices, plots, manifest.
"use strict";

(() => {
  const { el, link, percent, interval, number, select } = Site.dom;

  const [NAME, VALUE, LOW, HIGH, COUNT, SLICE] = [0, 1, 2, 3, 4, 5];

  async function runPage(index, id, query) {
    const run = await Site.load(`runs/${id}/run`);
    const protocol = run.protocols.find((each) => each.name === query.get("protocol")) || run.protocols[0];
    return [
      el("h1", {}, run.model, el("small", {}, " on ", el("a", { href: link(["benchmark", Site.benchmarkId(run.benchmark)]) }, run.benchmark))),
      el("p", { class: "actions" }, el("a", { class: "button", href: link(["run", id, "samples"]) }, "Browse its samples"), others(index, run)),
      Site.pages.facts([["Made for protocol", run.protocol], ["Asked", run.elicitation], ["Shard", run.shard], ["Masks by", run.masks_by], ["Samples", Site.pages.share(run)], ["Failed", run.failed],
        ["Tokens a point", run.tokens_per_point === null ? null : number(run.tokens_per_point)], ["Seconds a sample", run.seconds === null ? null : number(run.seconds, 3)], ["Device", run.device]]),
      el("h2", {}, "Scores under every protocol"), scores(run), differences(run),
      run.failures.length ? [el("h2", {}, "Failed samples"), el("ul", {}, run.failures.map(([sample, error]) => el("li", {}, el("b", {}, sample), ": ", error)))] : null,
      el("div", { class: "figures" }, plots(run)),
      el("h2", {}, "Slices"), slices(run, protocol),
      el("h2", {}, "Manifest"), manifest(run.manifest),
    ];
  }

  function others(index, run) {
    const found = index.runs.filter((each) => each.set === run.set && each.id !== run.id);
    if (!found.length) return null;
    const go = (other) => { if (other) location.hash = link(["compare", run.id, other]); };
    return select("Lay beside", [["", "choose a run"], ...found.map((each) => [each.id, each.model])], "", go);
  }

  function scores(run) {
    const rows = run.protocols.flatMap((protocol) => protocol.metrics.filter((metric) => metric[SLICE] === null).map((metric) => ({ protocol, metric })));
    return Site.table("Scores", [
      { label: "Protocol", value: (row) => row.protocol.name },
      { label: "Metric", value: (row) => row.metric[NAME], cell: (row) => (row.metric[NAME] === row.protocol.headline ? el("b", {}, row.metric[NAME]) : row.metric[NAME]) },
      { label: "%", numeric: true, value: (row) => row.metric[VALUE], cell: (row) => percent(row.metric[VALUE]) },
      { label: "95 % interval", numeric: true, value: (row) => row.metric[LOW], cell: (row) => interval([row.metric[LOW], row.metric[HIGH]]) || "-" },
      { label: "n", numeric: true, value: (row) => row.metric[COUNT], cell: (row) => String(row.metric[COUNT]) },
      { label: "Remarks", value: (row) => remarks(row.protocol) },
    ], rows);
  }

  const remarks = (protocol) => [protocol.verified ? "verified" : "unverified", protocol.scorer_only ? "scorer only: asked in another way" : null].filter(Boolean).join("; ");

  // What sets each protocol apart, once below the scores.
  function differences(run) {
    const told = run.protocols.filter((protocol) => protocol.differs);
    return told.length ? el("ul", { class: "remark" }, told.map((protocol) => el("li", {}, el("b", {}, protocol.name), `: ${protocol.differs}`))) : null;
  }

  function plots(run) {
    const sizes = run.sizes.length > 1 ? Site.plots.lines(`${run.metric} against size of target`, run.sizes.map(([bin]) => bin), [{ name: run.model, values: run.sizes.map((bin) => bin.slice(1)) }], "side of the target, % of the picture's", `${run.metric}, %`) : null;
    const several = new Set(run.counts.map(([a]) => a)).size > 1;
    return [several ? Site.plots.counts("Counts, predicted against true", run.counts) : null, sizes];
  }

  // A table for each slice: its values with a bar, so that the weak ones are seen.
  function slices(run, protocol) {
    const place = el("div", {});
    const sliced = protocol.metrics.filter((each) => each[SLICE] !== null);
    const longest = [...run.slice_names].sort((a, b) => b.length - a.length); // a name may begin as another does
    const nameOf = (metric) => longest.find((name) => metric[SLICE].startsWith(`${name}=`));
    const names = [...new Set(sliced.map(nameOf))];
    const metrics = [...new Set(sliced.map((each) => each[NAME]))];
    const headline = metrics.includes(protocol.headline) ? protocol.headline : metrics[0];

    function draw(metric) {
      place.replaceChildren(el("div", { class: "scroll slices" }, names.map((name) => {
        const found = sliced.filter((each) => each[NAME] === metric && nameOf(each) === name);
        return found.length ? el("table", { class: "plain slice" }, el("caption", {}, name), el("tbody", {}, found.map((each) => line(run, name, each)))) : null;
      })));
    }

    function line(of, name, metric) {
      const value = metric[SLICE].slice(name.length + 1);
      const ends = interval([metric[LOW], metric[HIGH]]);
      const bar = el("meter", { min: 0, max: 1, value: metric[VALUE], "aria-hidden": "true" });
      return el("tr", { title: ends ? `95 % interval ${ends}` : null }, el("th", { scope: "row" }, el("a", { href: link(["run", of.id, "samples"], { slice: `${name}=${value}` }) }, value)),
        el("td", {}, bar), el("td", { class: "numeric" }, percent(metric[VALUE])), el("td", { class: "numeric faint" }, ends), el("td", { class: "numeric faint" }, `n=${metric[COUNT]}`));
    }

    if (!names.length) return el("p", {}, "Its samples have no slices.");
    draw(headline);
    const change = (name) => { location.hash = link(["run", run.id], { protocol: name }); };
    return el("div", {}, el("div", { class: "filters" }, select("Protocol", run.protocols.map((each) => [each.name, each.name]), protocol.name, change), select("Metric", metrics.map((each) => [each, each]), headline, draw)), place);
  }

  function manifest(content) {
    const lines = [];
    const walk = (path, value) => {
      if (value !== null && typeof value === "object") Object.entries(value).forEach(([key, each]) => walk([...path, key], each));
      else lines.push([path.join("."), value]);
    };
    walk([], content);
    return el("details", { open: true }, el("summary", {}, "All fields"), el("dl", { class: "manifest" }, lines.map(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))])));
  }

  Site.runPage = runPage;
})();
