// A picture, or a clip's frames, with target and answer drawn on it.
"use strict";

Site.drawing = (() => {
  const { el, svg } = Site.dom;

  // --- masks ----------------------------------------------------------------------------------------

  // COCO's compressed counts -> run lengths down the columns, outside first: six bits a character from '0' on, five of
  // value, low ones first, one that says that the number goes on; from the fourth on differences to the one before last.
  function runLengths(text) {
    const lengths = [];
    for (let i = 0; i < text.length;) {
      let value = 0, shift = 0, bits;
      do {
        bits = text.charCodeAt(i++) - 48;
        value += (bits & 31) * 2 ** shift;
        shift += 5;
      } while (bits & 32 && i < text.length);
      if (bits & 16) value -= 2 ** shift;
      if (lengths.length > 2) value += lengths[lengths.length - 2];
      lengths.push(value);
    }
    return lengths;
  }

  // For each column that has any, its runs inside as [from, to] rows.
  function columnsOf([height, , text]) {
    const columns = new Map();
    let at = 0;
    runLengths(text).forEach((length, i) => {
      if (i % 2) {
        for (let from = at; from < at + length;) {
          const x = Math.floor(from / height);
          const to = Math.min(at + length, (x + 1) * height);
          if (!columns.has(x)) columns.set(x, []);
          columns.get(x).push([from - x * height, to - x * height]);
          from = to;
        }
      }
      at += length;
    });
    return columns;
  }

  // Rows in which exactly one of two columns is inside.
  function disagreement(a, b) {
    const ends = [...a, ...b].flat().sort((one, other) => one - other);
    const spans = [];
    for (let i = 0; i + 1 < ends.length; i += 2) if (ends[i] < ends[i + 1]) spans.push([ends[i], ends[i + 1]]);
    return spans;
  }

  // The outline of a mask as closed paths along the edges of its pixels.
  function outline(mask) {
    const columns = columnsOf(mask);
    const inside = (x, y) => (columns.get(x) || []).some(([from, to]) => from <= y && y < to);
    const next = new Map(); // corner -> corners that edges lead to, the inside on their right
    const edge = (x1, y1, x2, y2) => {
      const key = `${x1},${y1}`;
      if (!next.has(key)) next.set(key, []);
      next.get(key).push([x2, y2]);
    };
    for (const [x, runs] of columns) {
      for (const [from, to] of runs) {
        edge(x, from, x + 1, from);
        edge(x + 1, to, x, to);
      }
      for (const side of [x, x + 1]) {
        if (side === x + 1 && columns.has(x + 1)) continue; // the next column draws the edge between them
        for (const [from, to] of disagreement(columns.get(side - 1) || [], columns.get(side) || [])) {
          if (inside(side, from)) edge(side, to, side, from);
          else edge(side, from, side, to);
        }
      }
    }
    const parts = [];
    for (const [key, ends] of next) {
      while (ends.length) {
        const start = key;
        parts.push(`M${start}`);
        let [x, y] = ends.pop();
        while (`${x},${y}` !== start) {
          parts.push(`L${x},${y}`);
          const on = next.get(`${x},${y}`);
          if (!on || !on.length) break; // a damaged mask
          [x, y] = on.pop();
        }
        parts.push("Z");
      }
    }
    return parts.join("");
  }

  // --- shapes ---------------------------------------------------------------------------------------

  // Every line twice, a wide dark one under a narrow bright one: it shows on any picture.
  function line(path, kind, rule) {
    return ["under", "over"].map((layer) => svg("path", { class: `${kind} ${layer}`, d: path, "fill-rule": rule || null }));
  }

  const finite = (values) => values.every((value) => typeof value === "number");

  function targetParts(shapes) {
    const parts = [];
    for (const mask of shapes.masks || []) parts.push(line(outline(mask), "target", "evenodd"));
    for (const [x1, y1, x2, y2] of shapes.boxes || []) parts.push(line(`M${x1} ${y1}H${x2}V${y2}H${x1}Z`, "target"));
    for (const polygon of shapes.polygons || []) parts.push(line(`M${polygon.map((point) => point.join(" ")).join("L")}Z`, "target"));
    for (const [x, y] of shapes.points || []) if (finite([x, y])) parts.push(marker(x, y, "truth", null));
    return parts;
  }

  // A mark of constant size on the screen, whatever the picture's.
  function marker(x, y, kind, text) {
    const shape = kind === "truth" ? svg("path", { d: "M-6 0H6M0 -6V6" }) : svg("circle", { r: 6 });
    const group = svg("g", { class: `marker ${kind}` }, svg("g", { class: "under" }, shape.cloneNode()), svg("g", { class: "over" }, shape),
      kind === "truth" ? null : svg("circle", { class: "dot", r: 1.5 }), text === null ? null : svg("text", { x: 9, y: 4 }, text));
    group.style.transform = `translate(${x}px, ${y}px) scale(var(--unit))`;
    return group;
  }

  function answerParts(points, masks, kind) {
    return [
      ...masks.map((mask) => line(outline(mask), `answer ${kind}`, "evenodd")),
      ...points.filter(([x, y]) => finite([x, y])).map(([x, y, text]) => marker(x, y, `answer ${kind}`, text)),
    ];
  }

  // --- views ----------------------------------------------------------------------------------------

  // What is looked at when it is zoomed: the target and the answer, with some of what is around them.
  function closeUp(parts, size) {
    const spots = [];
    for (const [x1, y1, x2, y2] of parts.boxes || []) spots.push([x1, y1], [x2, y2]);
    for (const polygon of parts.polygons || []) spots.push(...polygon);
    for (const [x, y] of parts.points || []) spots.push([x, y]);
    for (const mask of parts.masks || []) {
      for (const [x, runs] of columnsOf(mask)) spots.push([x, runs[0][0]], [x + 1, runs[runs.length - 1][1]]);
    }
    const known = spots.filter(finite);
    if (!known.length) return [0, 0, ...size];
    const xs = known.map(([x]) => x), ys = known.map(([, y]) => y);
    const [left, right, top, bottom] = [xs.reduce((a, b) => Math.min(a, b)), xs.reduce((a, b) => Math.max(a, b)), ys.reduce((a, b) => Math.min(a, b)), ys.reduce((a, b) => Math.max(a, b))];
    const width = Math.min(size[0], Math.max(1.6 * (right - left), 1.6 * (bottom - top) * size[0] / size[1], size[0] / 8));
    const height = width * size[1] / size[0];
    const clamp = (value, most) => Math.min(Math.max(0, value), most);
    return [clamp((left + right) / 2 - width / 2, size[0] - width), clamp((top + bottom) / 2 - height / 2, size[1] - height), width, height];
  }

  const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => scaled(target)));

  function scaled(root) {
    const shown = root.clientWidth || root.getBoundingClientRect().width;
    if (shown) root.style.setProperty("--unit", root.viewBox.baseVal.width / shown);
  }

  // sample: of a set's shard; answers: [{points, frames?, kind}], drawn over one another.
  // Gives {element, zoom(on), seek(frame), step(by)}.
  function view(sample, answers, describes) {
    const size = sample.size || [640, 480];
    const picture = sample.picture;
    const times = (picture && picture.times) || sample.target.times || null;
    const root = svg("svg", { class: "view", viewBox: `0 0 ${size[0]} ${size[1]}`, role: "img", "aria-label": describes });
    const note = picture ? null : el("p", { class: "no-picture" }, `No picture${sample.missing ? `: ${sample.missing}` : ""}.`);
    let frame = 0, zoomed = false;

    const nearest = (time) => times.reduce((best, each, i) => (Math.abs(each - time) < Math.abs(times[best] - time) ? i : best), 0);
    const numbered = (points) => points.map(([x, y, time, , id], i) => [x, y, id ?? String(i + 1), time]);

    function background() {
      if (!picture) return svg("rect", { class: "blank", width: size[0], height: size[1] });
      if (!times) return svg("image", { href: picture.file, width: size[0], height: size[1], preserveAspectRatio: "none" });
      const rows = Math.ceil(times.length / picture.columns);
      return svg("svg", { width: size[0], height: size[1], viewBox: `${(frame % picture.columns) * size[0]} ${Math.floor(frame / picture.columns) * size[1]} ${size[0]} ${size[1]}` },
        svg("image", { href: picture.file, width: picture.columns * size[0], height: rows * size[1], preserveAspectRatio: "none" }));
    }

    function shown() {
      const target = sample.target.frames ? sample.target.frames[frame] || {} : sample.target;
      const drawn = answers.map((answer) => ({
        kind: answer.kind,
        points: numbered(answer.points || []).filter(([, , , time]) => !times || time === undefined || time === null || nearest(time) === frame),
        masks: (answer.frames && answer.frames[frame] && answer.frames[frame].masks) || [],
      }));
      return { target, drawn };
    }

    function draw() {
      const { target, drawn } = shown();
      root.replaceChildren(background(), svg("g", { class: "targets" }, targetParts(target).flat()),
        svg("g", { class: "answers" }, drawn.map((each) => answerParts(each.points, each.masks, each.kind)).flat(2)));
      const points = [...(target.points || []), ...drawn.flatMap((each) => each.points)];
      const box = zoomed ? closeUp({ ...target, points }, size) : [0, 0, ...size];
      root.setAttribute("viewBox", box.join(" "));
      scaled(root);
    }

    const clock = el("output", {});
    const slider = times ? el("input", { type: "range", min: 0, max: times.length - 1, step: 1, value: 0, "aria-label": "Time in the clip", oninput: () => seek(Number(slider.value)) }) : null;

    function seek(to) {
      frame = Math.min(Math.max(0, to), times.length - 1);
      slider.value = frame;
      clock.textContent = `${times[frame].toFixed(2)} s`;
      slider.setAttribute("aria-valuetext", clock.textContent);
      draw();
    }

    // Where something happens: the first frame with a point or a target.
    function begin() {
      const first = answers.flatMap((each) => (each.points || []).map(([, , time]) => time)).filter((time) => typeof time === "number");
      const target = (sample.target.frames || []).findIndex((each) => (each.points || []).length || (each.masks || []).length);
      seek(target >= 0 ? target : first.length ? nearest(first[0]) : 0);
    }

    if (times) begin();
    else draw();
    resized.observe(root);
    return {
      element: el("div", { class: "picture" }, root, note, times ? el("div", { class: "scrub" }, slider, clock) : null),
      zoom: (on) => { zoomed = on; draw(); },
      seek: (to) => times && seek(to),
      step: (by) => times && seek(frame + by),
    };
  }

  return { view, outline };
})();
