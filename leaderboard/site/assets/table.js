// Tables that sort and filter: a plain one, and the tables of results with marks of trust.
"use strict";

(() => {
  const { el, link, select, say } = Site.dom;

  const KINDS = [["api", "API"], ["open-weights", "Open weights"], ["fully-open", "Fully open"], ["human", "People"], ["unlisted", "Not in the paper"]];
  const SIZES = [
    ["small", "up to 4B", (size) => size !== null && size <= 4],
    ["middle", "over 4B to 9B", (size) => size !== null && size > 4 && size <= 9],
    ["large", "over 9B", (size) => size !== null && size > 9],
    ["unknown", "not known", (size) => size === null],
  ];
  const STATUS = {
    published: ["", "published", "printed in the paper"],
    measured: ["†", "measured", "by a run of ours; nothing is claimed about a published number"],
    reproduced: ["=", "reproduced", "a run of ours on the full split, asked and counted as published, within 1.5 points"],
    differs: ["≠", "differs", "a run of ours on the full split, asked and counted as published, more than 1.5 points away"],
  };
  const NAMES = {
    prompt: "Prompt", max_new_tokens: "Token limit", max_crops: "Crops", max_frames: "Frames",
    force_single_point: "One point by force", scorer: "Scorer", average: "Average", evaluated_by: "Evaluated by", source: "Declared in",
  };

  // --- sorting, shared ------------------------------------------------------------------------------

  // Missing values come last in either direction.
  function sorted(rows, value, direction) {
    const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    const missing = (each) => each === null || each === undefined;
    return rows
      .map((row) => [row, value(row)])
      .sort(([, a], [, b]) => (missing(a) || missing(b) ? missing(a) - missing(b) : direction * compare(a, b)))
      .map(([row]) => row);
  }

  // A click goes on to the next of: best first, the other way round, as it was.
  function nextSort(state, column, first) {
    if (state.column !== column) return { column, direction: first };
    return state.direction === first ? { column, direction: -first } : { column: null, direction: 1 };
  }

  function heading(state, column, label, first, onsort, attributes) {
    const active = state.column === column;
    const sort = active ? (state.direction > 0 ? "ascending" : "descending") : "none";
    const arrow = active ? (state.direction > 0 ? " ↑" : " ↓") : "";
    return el("th", { scope: "col", "aria-sort": sort, ...attributes },
      el("button", { type: "button", class: "sort", onclick: () => onsort(nextSort(state, column, first)) }, label, el("span", { "aria-hidden": true }, arrow)));
  }

  // --- a plain table --------------------------------------------------------------------------------

  // columns: {label, value(row), cell(row)?, numeric?, first?}; first: 1 where a click sorts upwards first.
  Site.table = (caption, columns, rows) => {
    const box = el("div", { class: "scroll" });
    let state = { column: null, direction: 1 };

    function draw(focus) {
      const shown = state.column === null ? rows : sorted(rows, columns[state.column].value, state.direction);
      const head = columns.map((column, i) => heading(state, i, column.label, column.first || (column.numeric ? -1 : 1),
        (next) => { state = next; draw(i); }, { class: column.numeric ? "numeric" : null }));
      const body = shown.map((row) => el("tr", {}, columns.map((column, i) =>
        el(i ? "td" : "th", { class: column.numeric ? "numeric" : null, scope: i ? null : "row" }, column.cell ? column.cell(row) : column.value(row) ?? "-"))));
      box.replaceChildren(el("table", { class: "plain" }, el("caption", { class: "unseen" }, caption), el("thead", {}, el("tr", {}, head)), el("tbody", {}, body)));
      if (focus !== undefined) box.querySelectorAll("button.sort")[focus].focus();
    }
    draw();
    return box;
  };

  // --- results --------------------------------------------------------------------------------------

  // table: a shard of `tables/`; benchmark: show its columns alone.
  Site.results = (table, benchmark) => {
    const columns = table.columns.map((column, index) => ({ ...column, index })).filter((each) => !benchmark || each.benchmarks.includes(benchmark));
    const rows = table.groups.flatMap((group) => group.rows.map((row) => ({ ...row, group: group.heading })))
      .filter((row) => columns.some((column) => !row.cells[column.index].x));
    const wanted = { kind: "", size: "", source: "", protocol: "", text: "" };
    const place = el("div", { class: "scroll" });
    const details = el("div", { class: "details", hidden: true, role: "region", "aria-label": "About the cell" });
    let state = { column: null, direction: 1 };

    const valueOf = (row, column) => {
      const cell = row.cells[column.index];
      if (cell.v !== undefined) return cell.v;
      const value = parseFloat(cell.t);
      return Number.isNaN(value) ? null : value;
    };

    function fits(row) {
      const size = SIZES.find(([key]) => key === wanted.size);
      return (!wanted.kind || row.kind === wanted.kind)
        && (!size || size[2](row.size))
        && (!wanted.source || (wanted.source === "measured") === Boolean(row.measured))
        && (!wanted.protocol || (row.measured ? row.protocol.split(", ").includes(wanted.protocol) : false))
        && row.label.toLowerCase().includes(wanted.text.toLowerCase());
    }

    function draw(focus) {
      const chosen = rows.filter(fits);
      const order = state.column === null ? chosen
        : sorted(chosen, (row) => (state.column < 0 ? row.label : valueOf(row, columns[state.column])), state.direction);
      place.replaceChildren(el("table", { class: "results" }, el("caption", { class: "unseen" }, table.heading), head(), el("tbody", {}, body(order))));
      const first = place.querySelector("button.cell");
      if (first) first.tabIndex = 0;
      if (focus !== undefined) place.querySelectorAll("button.sort")[focus].focus();
      say(`${order.length} of ${rows.length} rows`);
    }

    function head() {
      const onsort = (next) => {
        const focus = (next.column === null ? state.column : next.column) + 1;
        state = next;
        draw(focus);
      };
      const labels = columns.map((column, i) => heading(state, i, column.label, column.best === "low" ? 1 : -1, onsort, { class: "numeric" }));
      const corner = heading(state, -1, "Model", 1, onsort, { class: "model" });
      const over = [];
      for (const column of columns) {
        const last = over[over.length - 1];
        if (last && last.text === column.over) last.width += 1;
        else over.push({ text: column.over, width: 1 });
      }
      const above = over.some((each) => each.text)
        ? el("tr", { class: "over" }, el("td", {}), over.map((each) => el("th", { colspan: each.width, scope: "colgroup" }, each.text))) : null;
      return el("thead", {}, above, el("tr", {}, corner, labels));
    }

    function body(order) {
      const lines = [];
      let group = "";
      for (const row of order) {
        if (state.column === null && row.group !== group) {
          group = row.group;
          if (group) lines.push(el("tr", { class: "group" }, el("th", { colspan: columns.length + 1, scope: "rowgroup" }, group)));
        }
        const label = el("th", { scope: "row" }, row.label, row.measured ? el("small", {}, ` protocol ${row.protocol}`) : null);
        lines.push(el("tr", { class: row.measured ? "measured" : null }, label, columns.map((column) => cell(row, column))));
      }
      return lines.length ? lines : [el("tr", {}, el("td", { colspan: columns.length + 1, class: "none" }, "No row fits these filters."))];
    }

    function cell(row, column) {
      const each = row.cells[column.index];
      const status = each.s || "published";
      if (each.x) return el("td", {}, each.t);
      // A sign after a number hangs outside, so that decimals stay in line.
      const [, printed, hanging] = each.t.match(/^(.*?\d)?([^\d.%]?)$/) || [null, each.t, ""];
      const text = [each.b === 1 ? el("strong", {}, printed) : each.b === 2 ? el("span", { class: "second" }, printed) : printed, hanging ? el("span", { class: "hanging" }, hanging) : null];
      const [sign, word] = STATUS[status];
      const mark = sign ? el("span", { class: "mark" }, sign, each.part ? " partly " : " ", word) : el("span", { class: "unseen" }, " published");
      const button = el("button", { type: "button", class: "cell", tabindex: -1, "data-status": status, onclick: (event) => open(row, column, event.currentTarget) }, text, mark);
      button.tip = tip(each, status);
      return el("td", {}, button);
    }

    function tip(each, status) {
      const lines = [];
      if (each.i) lines.push(`95 % interval ${each.i[0].toFixed(1)} to ${each.i[1].toFixed(1)}`);
      if (each.n !== undefined) lines.push(`n = ${each.n}`);
      if (each.part) lines.push(each.part);
      lines.push(STATUS[status][1]);
      return lines.join(" · ");
    }

    let opener = null;

    function close() {
      details.hidden = true;
      if (opener) opener.focus(); // else the keyboard would be back at the top of the page
    }

    // What is known of a cell, below the table.
    function open(row, column, from) {
      const each = row.cells[column.index];
      const status = each.s || "published";
      const facts = [["Value", each.t], ["Status", `${STATUS[status][1]}: ${STATUS[status][2]}`]];
      if (each.i) facts.push(["95 % interval", `${each.i[0].toFixed(2)} to ${each.i[1].toFixed(2)}`]);
      if (each.n !== undefined) facts.push(["Samples", each.part || each.n]);
      if (each.w) facts.push(["Judged", each.w]);
      if (each.r) facts.push(["Run", el("a", { href: link(["run", each.r]) }, each.r)]);
      if (each.c) facts.push(["Protocol", el("a", { href: link(["benchmark", Site.benchmarkId(column.run)], { protocol: each.c }) }, each.c)]);
      if (status === "published") facts.push(["Source", table.source], ...declared(each));
      for (const sign of (each.f || "").split(" ").filter(Boolean)) {
        for (const [key, text] of table.remarks) if (key === sign && sign !== STATUS[status][0]) facts.push([`Note ${sign}`, text]);
      }
      details.replaceChildren(
        el("h3", {}, `${row.label}: ${column.over} ${column.label}`),
        el("button", { type: "button", class: "close", onclick: close, "aria-label": "Close" }, "×"),
        el("dl", {}, facts.map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
      details.hidden = false;
      opener = from;
      details.scrollIntoView({ block: "nearest" });
    }

    function declared(each) {
      const fields = each.p === undefined ? {} : table.declared[each.p];
      const known = Object.keys(NAMES).filter((name) => fields[name] && fields[name] !== "unknown");
      const unknown = Object.keys(NAMES).filter((name) => name !== "source" && name !== "evaluated_by" && !known.includes(name));
      return [...known.map((name) => [NAMES[name], fields[name]]), unknown.length ? ["Not declared", unknown.map((name) => NAMES[name].toLowerCase()).join(", ")] : null].filter(Boolean);
    }

    // One cell is in the tab order; arrows move from it.
    place.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
      const from = event.target.closest("button.cell");
      if (!step || !from) return;
      event.preventDefault();
      event.stopPropagation();
      const lines = [...place.querySelectorAll("tbody tr")];
      let y = lines.indexOf(from.closest("tr"));
      let x = from.closest("td").cellIndex;
      for (;;) {
        [y, x] = [y + step[0], x + step[1]];
        if (!lines[y] || x < 1 || x > columns.length) return;
        const to = lines[y].cells[x] && lines[y].cells[x].querySelector("button.cell");
        if (to) {
          from.tabIndex = -1;
          to.tabIndex = 0;
          return to.focus();
        }
      }
    });

    function filters() {
      const change = (name) => (value) => { wanted[name] = value; draw(); };
      const have = (test) => rows.some(test);
      const all = ["", "all"];
      const protocols = [...new Set(rows.filter((row) => row.measured).flatMap((row) => row.protocol.split(", ")))];
      const choices = [
        select("Kind", [all, ...KINDS.filter(([key]) => have((row) => row.kind === key))], "", change("kind")),
        select("Size", [all, ...SIZES.filter(([, , test]) => have((row) => test(row.size)))], "", change("size")),
      ];
      if (protocols.length && have((row) => !row.measured)) choices.push(select("From", [all, ["published", "published"], ["measured", "measured here"]], "", change("source")));
      if (protocols.length) choices.push(select("Protocol", [all, ...protocols.map((name) => [name, name])], "", change("protocol")));
      choices.push(el("label", { class: "choice" }, el("span", {}, "Model"), el("input", { type: "search", placeholder: "part of a name", oninput: (event) => change("text")(event.target.value) })));
      return el("div", { class: "filters", role: "group", "aria-label": "Filters" }, choices);
    }

    draw();
    const texts = table.remarks.map(([sign, text]) => el("li", {}, sign ? el("sup", {}, sign) : null, sign ? " " : null, text));
    return el("div", { class: "block" }, filters(), place, details, legend(rows),
      texts.length ? el("details", { class: "remarks", open: texts.length < 6 }, el("summary", {}, `${texts.length} ${texts.length === 1 ? "note" : "notes"}`), el("ul", {}, texts)) : null,
      table.source ? el("p", { class: "source" }, `Source: ${table.source}.`) : null);
  };

  function legend(rows) {
    const measured = rows.some((row) => row.measured);
    const published = rows.some((row) => !row.measured);
    return el("p", { class: "legend" }, published ? [el("strong", {}, "best"), ", ", el("span", { class: "second" }, "second"), " of the published rows. A number alone is published. "] : null,
      measured ? ["measured", "reproduced", "differs"].map((status) => [el("span", { class: "mark", "data-status": status }, STATUS[status].slice(0, 2).join(" ")), ` ${STATUS[status][2]}. `]) : null,
      "Hover or focus a number for its interval; open it for its source.");
  }

  // --- the tip over a cell ----------------------------------------------------------------------------

  const tip = document.getElementById("tip");

  function show(event) {
    const button = event.target.closest ? event.target.closest("button.cell") : null;
    if (!button || !button.tip) return hide();
    tip.textContent = button.tip;
    tip.hidden = false;
    const box = button.getBoundingClientRect();
    const left = Math.min(Math.max(4, box.left + box.width / 2 - tip.offsetWidth / 2), window.innerWidth - tip.offsetWidth - 4);
    tip.style.left = `${left}px`;
    tip.style.top = `${Math.max(4, box.top - tip.offsetHeight - 4)}px`;
    button.setAttribute("aria-describedby", "tip");
  }

  function hide() {
    tip.hidden = true;
  }

  document.addEventListener("mouseover", show);
  document.addEventListener("focusin", show);
  document.addEventListener("scroll", hide, true);
})();
