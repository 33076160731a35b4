// Plots as SVG: points with intervals, lines over sizes of target, counts against counts.
"use strict";

Site.plots = (() => {
  const { el, svg, percent } = Site.dom;
  const WIDTH = 460, HEIGHT = 280, LEFT = 46, RIGHT = 14, TOP = 12, BOTTOM = 42;
  const SHAPES = [
    (x, y) => svg("circle", { cx: x, cy: y, r: 5 }),
    (x, y) => svg("rect", { x: x - 4.5, y: y - 4.5, width: 9, height: 9 }),
    (x, y) => svg("path", { d: `M${x} ${y - 6}l5.5 10h-11z` }),
    (x, y) => svg("path", { d: `M${x} ${y - 6.5}l6.5 6.5l-6.5 6.5l-6.5 -6.5z` }),
    (x, y) => svg("path", { d: `M${x} ${y + 6}l5.5 -10h-11z` }),
    (x, y) => svg("path", { d: `M${x - 2} ${y - 6}h4v4h4v4h-4v4h-4v-4h-4v-4h4z` }),
  ];

  const plotX = (share) => LEFT + share * (WIDTH - LEFT - RIGHT);
  const plotY = (share) => HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM);

  // A round step that gives some five ticks up to `end`.
  function ticks(end) {
    const rough = end / 5;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((each) => each * power >= rough);
    const found = [];
    for (let value = 0; value <= end + step * 1e-6; value += step) found.push(Number(value.toPrecision(6)));
    return found;
  }

  function frame(xTicks, yTicks, xLabel, yLabel, describes) {
    const parts = [];
    for (const [share, text] of yTicks) {
      parts.push(svg("line", { class: "rule", x1: LEFT, x2: WIDTH - RIGHT, y1: plotY(share), y2: plotY(share) }));
      parts.push(svg("text", { x: LEFT - 6, y: plotY(share) + 4, "text-anchor": "end" }, text));
    }
    for (const [share, text] of xTicks) {
      parts.push(svg("text", { x: plotX(share), y: HEIGHT - BOTTOM + 16, "text-anchor": "middle" }, text));
    }
    parts.push(svg("line", { class: "axis", x1: LEFT, x2: WIDTH - RIGHT, y1: plotY(0), y2: plotY(0) }));
    parts.push(svg("text", { class: "label", x: plotX(0.5), y: HEIGHT - 6, "text-anchor": "middle" }, xLabel));
    parts.push(svg("text", { class: "label", x: 12, y: plotY(0.5), "text-anchor": "middle", transform: `rotate(-90 12 ${plotY(0.5)})` }, yLabel));
    return svg("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": describes }, parts);
  }

  const rates = [0, 0.2, 0.4, 0.6, 0.8, 1].map((value) => [value, String(Math.round(100 * value))]);

  function whisker(x, ends) {
    if (!ends || ends[0] === null) return null;
    return svg("line", { class: "whisker", x1: x, x2: x, y1: plotY(ends[0]), y2: plotY(ends[1]) });
  }

  function titled(shape, text) {
    shape.append(svg("title", {}, text));
    return shape;
  }

  // Shape and colour of a series, the same in all plots of a page; no two alike among 36.
  const shape = (each) => SHAPES[(each.style || 0) % SHAPES.length];
  const colour = (each) => ((each.style || 0) + Math.floor((each.style || 0) / SHAPES.length)) % SHAPES.length;

  function key(series) {
    return el("ul", { class: "key" }, series.map((each) =>
      el("li", {}, svg("svg", { viewBox: "0 0 16 16", class: `series s${colour(each)}`, "aria-hidden": "true" }, shape(each)(8, 8)), " ", each.name)));
  }

  const figure = (caption, ...parts) => el("figure", {}, el("figcaption", {}, caption), parts);

  // points: {name, style, x, y, interval}
  function scatter(caption, points, xLabel, yLabel) {
    const end = 1.1 * Math.max(...points.map((point) => point.x));
    const plot = frame(ticks(end).map((value) => [value / end, String(value)]), rates, xLabel, yLabel, `${caption}: ${points.map((p) => `${p.name} ${p.x}, ${percent(p.y)}`).join("; ")}`);
    points.forEach((point) => {
      const x = plotX(point.x / end);
      plot.append(svg("g", { class: `series s${colour(point)}` }, whisker(x, point.interval), titled(shape(point)(x, plotY(point.y)), `${point.name}: ${xLabel} ${point.x}, ${percent(point.y)}`)));
    });
    return figure(caption, plot, key(points));
  }

  // bins: names, small to large; series: {name, style, values: [[value, low, high, count] or null, one a bin]}
  function lines(caption, bins, series, xLabel, yLabel) {
    const at = (i) => (i + 0.5) / bins.length;
    const plot = frame(bins.map((name, i) => [at(i), name.replace(" %", "").replace(" and more", "+").replace("under ", "<").replace(" to ", "-")]), rates, xLabel, yLabel,
      `${caption}: ${series.map((each) => `${each.name} ${each.values.map((value) => (value ? percent(value[0]) : "none")).join(", ")}`).join("; ")}`);
    series.forEach((each, s) => {
      const shift = (s - (series.length - 1) / 2) * 5;
      const places = each.values.map((value, i) => (value ? [plotX(at(i)) + shift, plotY(value[0]), value, bins[i]] : null)).filter(Boolean);
      const path = places.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("");
      plot.append(svg("g", { class: `series s${colour(each)}` }, svg("path", { class: "line", d: path }),
        places.map(([x, y, value, bin]) => [whisker(x, [value[1], value[2]]), titled(shape(each)(x, y), `${each.name}, ${bin}: ${percent(value[0])} (${percent(value[1])} to ${percent(value[2])}), n=${value[3]}`)])));
    });
    return figure(caption, plot, series.length > 1 ? key(series) : null);
  }

  // counts: [true, predicted, samples]
  function counts(caption, found) {
    const end = Math.max(3, ...found.map(([a, b]) => Math.max(a, b))) + 1;
    const most = Math.max(...found.map(([, , samples]) => samples));
    const cut = (value) => (value >= 20 ? "20+" : String(value));
    const marks = ticks(end - 1).filter((value) => Number.isInteger(value)).map((value) => [(value + 0.5) / end, cut(value)]);
    const plot = frame(marks, marks, "true count", "predicted count", `${caption}: ${found.map(([a, b, n]) => `${a} as ${b}: ${n}`).join("; ")}`);
    plot.append(svg("line", { class: "diagonal", x1: plotX(0), y1: plotY(0), x2: plotX(1), y2: plotY(1) }));
    for (const [a, b, samples] of found) {
      const radius = 2 + 11 * Math.sqrt(samples / most);
      plot.append(titled(svg("circle", { class: a === b ? "bubble right" : "bubble", cx: plotX((a + 0.5) / end), cy: plotY((b + 0.5) / end), r: radius }), `${cut(a)} true, ${cut(b)} predicted: ${samples} samples`));
    }
    return figure(caption, plot);
  }

  return { scatter, lines, counts };
})();
