"use strict";
(() => {
  const source = document.getElementById("data");
  const { columns, labels, features, issues, others } = JSON.parse(source.textContent);
  const key = "label-review-" + source.dataset.key;
  const get = (id) => document.getElementById(id);
  const WORDS = { keep: "kept", change: "changed", drop: "dropped" };
  // By the place of the issue: {decision, label}; the label is that of a change, by its code.
  let decided = {};
  let isSaved = true;
  let current = 0;
  let last = null;  // the place that was decided a moment ago

  // All text goes in by textContent: nothing of the data is taken for HTML.
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== undefined) element.textContent = text;
    return element;
  };

  // -- what is kept -------------------------------------------------------------------------------

  const store = (() => {
    try {
      const found = window.localStorage;
      found.setItem(key + "-test", "");
      found.removeItem(key + "-test");
      return found;
    } catch {
      return null;
    }
  })();

  const isDecision = (place, found) =>
    issues[place] && WORDS[found.decision] &&
    (found.decision !== "change" || labels[found.label]);

  const load = () => {
    try {
      const found = Object.entries(JSON.parse(store.getItem(key)) || {});
      decided = Object.fromEntries(found.filter(([place, one]) => isDecision(place, one)));
    } catch {
      decided = {};
    }
  };

  const remember = () => {
    isSaved = false;
    try {
      store.setItem(key, JSON.stringify(decided));
    } catch {
      get("storage").textContent =
        "This browser keeps nothing between visits: save the decisions before you leave.";
    }
  };

  // -- what is shown ------------------------------------------------------------------------------

  const makeContent = (content, alt) => {
    if (content.image) {
      const image = make("img");
      image.alt = alt;
      image.addEventListener("load", () =>
        image.classList.toggle("pixels", image.naturalWidth < 100));
      image.src = content.image;
      return image;
    }
    return make("blockquote", "", content.text);
  };

  const makeTable = (issue) => {
    const near = issue.neighbors.map((row) => others[row]);
    const table = make("table");
    const head = table.createTHead().insertRow();
    head.append(make("th", "", "feature"), make("th", "own", "this row"));
    for (const other of near) head.append(make("th", "", other.name));
    for (const cell of head.cells) cell.scope = "col";
    const body = table.createTBody();
    issue.content.cells.forEach((value, i) => {
      const line = body.insertRow();
      const name = make("th", "", features ? features[i] : "x" + i);
      name.scope = "row";
      name.title = name.textContent;
      line.append(name, make("td", "own", value));
      for (const other of near) line.append(make("td", "", other.content.cells[i]));
    });
    return table;
  };

  const showRows = (issue) => {
    const shown = get("shown");
    const suggested = labels[issue.suggested].name;
    const start = issue.content.cells ? "This row, and the nearest rows labelled " : "The nearest rows labelled ";
    const title = make("h3", "", start);
    title.append(make("b", "", suggested));
    if (issue.content.cells) {
      const scroll = make("div", "scroll");
      scroll.tabIndex = 0;
      scroll.setAttribute("role", "region");
      scroll.setAttribute("aria-label", "Features of this row and of the nearest");
      scroll.append(makeTable(issue));
      shown.replaceChildren(...(issue.neighbors.length ? [title, scroll] : [scroll]));
      return;
    }
    const own = make("figure", "large" + (issue.content.image ? " image" : ""));
    own.append(
      make("figcaption", "", "This row"),
      makeContent(issue.content, `Row ${issue.name}, labelled ${labels[issue.given].name}`),
    );
    shown.replaceChildren(own);
    if (!issue.neighbors.length) return;
    const section = make("section");
    const near = make("div", "near");
    for (const row of issue.neighbors) {
      const { name, content } = others[row];
      const figure = make("figure", content.image ? "" : "text");
      figure.append(
        makeContent(content, `Row ${name}, labelled ${suggested}`),
        make("figcaption", "", `row ${name}`),
      );
      near.append(figure);
    }
    section.append(title, near);
    shown.append(section);
  };

  const showDecision = () => {
    const { decision, label } = decided[current] || {};
    const issue = issues[current];
    const isOther = decision === "change" && label !== issue.suggested;
    get("keep").setAttribute("aria-pressed", decision === "keep");
    get("change").setAttribute("aria-pressed", decision === "change" && !isOther);
    get("drop").setAttribute("aria-pressed", decision === "drop");
    get("picker").value = isOther ? label : "";
    get("picker").classList.toggle("chosen", isOther);
  };

  const showProgress = () => {
    const n = Object.keys(decided).length;
    get("progress").value = n;
    get("count").textContent = `${n} of ${issues.length} decided`;
  };

  const showItem = (place) => {
    const button = get("list").children[place].firstChild;
    const { decision, label } = decided[place] || {};
    const { given, suggested, name } = issues[place];
    const to = decision === "change" ? label : suggested;
    const mark = button.querySelector(".mark");
    button.querySelector(".pair").textContent = `${labels[given].name} \u2192 ${labels[to].name}`;
    mark.textContent = WORDS[decision] || "";
    mark.className = "mark " + (decision || "");
    button.title = `row ${name}`;
    const wanted = get("filter").value;
    button.parentNode.hidden = wanted !== "all" && wanted !== (decision || "undecided");
  };

  const show = (place) => {
    const list = get("list").children;
    list[current].firstChild.removeAttribute("aria-current");
    current = place;
    const button = list[place].firstChild;
    button.setAttribute("aria-current", "true");
    const top = button.offsetTop - get("list").offsetTop;
    get("list").scrollTop = top - get("list").clientHeight / 2;
    const issue = issues[place];
    get("heading").textContent = `Row ${issue.name} (${place + 1} of ${issues.length})`;
    get("given").textContent = labels[issue.given].name;
    get("suggested").textContent = labels[issue.suggested].name;
    get("score").textContent = issue.score;
    get("keep").querySelector("b").textContent = labels[issue.given].name;
    get("change").querySelector("b").textContent = labels[issue.suggested].name;
    get("previous").disabled = place === 0;
    get("next").disabled = place === issues.length - 1;
    last = null;
    get("undo").hidden = !decided[place];
    showRows(issue);
    showDecision();
  };

  // -- what is done -------------------------------------------------------------------------------

  const say = (text) => { get("status").textContent = text; };

  const move = (step) => {
    const place = Math.min(Math.max(current + step, 0), issues.length - 1);
    if (place !== current) show(place);
  };

  const moveToUndecided = () => {
    for (let i = 1; i <= issues.length; i++) {
      const place = (current + i) % issues.length;
      if (!decided[place]) return show(place);
    }
    say("All rows are decided.");
  };

  const decide = (decision, label) => {
    const issue = issues[current];
    if (label === issue.given) [decision, label] = ["keep", undefined];
    decided[current] = { decision, label };
    remember();
    const to = decision === "change" ? ` from ${labels[issue.given].name} to ${labels[label].name}` : "";
    say(`Row ${issue.name} ${WORDS[decision]}${to}.`);
    showItem(current);
    showProgress();
    const place = current;
    show(Math.min(place + 1, issues.length - 1));
    last = place;
    get("undo").hidden = false;
  };

  // Right after a decision, that one, though the next row is shown; else the one that is shown.
  const undo = () => {
    const place = last ?? current;
    if (!decided[place]) return;
    delete decided[place];
    remember();
    say(`Row ${issues[place].name} is undecided.`);
    showItem(place);
    showProgress();
    show(place);
  };

  const toCell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  const save = () => {
    const lines = issues.map((issue, place) => {
      const { decision, label } = decided[place] || {};
      const row = {
        row: issue.cell,
        given_label: labels[issue.given].cell,
        suggested_label: labels[issue.suggested].cell,
        score: issue.score,
        decision: decision || "",
        new_label: decision === "change" ? labels[label].cell : "",
      };
      return columns.map((name) => toCell(row[name])).join(",");
    });
    const text = "\ufeff" + [columns.join(","), ...lines, ""].join("\r\n");
    const link = make("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    link.download = "label_review.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    isSaved = true;
    say(`${Object.keys(decided).length} decisions saved as label_review.csv.`);
  };

  const KEYS = {
    k: () => decide("keep"),
    c: () => decide("change", issues[current].suggested),
    d: () => decide("drop"),
    u: undo,
    n: moveToUndecided,
    s: save,
    p: () => get("picker").focus(),
    arrowleft: () => move(-1),
    arrowright: () => move(1),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("select")) {
      if (event.key === "Escape") get("main").focus();
      return;
    }
    if (event.target.closest(".scroll") && event.key.startsWith("Arrow")) return;
    const action = KEYS[event.key.toLowerCase()];
    if (!action || !issues.length) return;
    event.preventDefault();
    action();
  });

  // -- the beginning ------------------------------------------------------------------------------

  if (!issues.length) {
    get("empty").hidden = false;
    get("count").textContent = "0 of 0 decided";
    get("save").disabled = true;
    return;
  }
  load();
  get("work").hidden = false;
  get("progress").max = issues.length;
  if (!store) remember();
  const picker = get("picker");
  picker.append(new Option("\u2026", ""), ...labels.map(({ name }, code) => new Option(name, code)));
  get("list").append(...issues.map(({ name }, place) => {
    const item = make("li");
    const button = make("button");
    button.type = "button";
    button.append(make("span", "row", name), make("span", "pair"), make("span", "mark"));
    button.addEventListener("click", () => show(place));
    item.append(button);
    return item;
  }));
  const showList = () => issues.forEach((_, place) => showItem(place));
  get("keep").addEventListener("click", KEYS.k);
  get("change").addEventListener("click", KEYS.c);
  get("drop").addEventListener("click", KEYS.d);
  get("undo").addEventListener("click", undo);
  get("previous").addEventListener("click", KEYS.arrowleft);
  get("next").addEventListener("click", KEYS.arrowright);
  get("save").addEventListener("click", save);
  get("filter").addEventListener("change", showList);
  picker.addEventListener("change", () => {
    if (picker.value === "") return;
    decide("change", Number(picker.value));
    picker.blur();
    get("main").focus();
  });
  window.addEventListener("beforeunload", (event) => {
    if (!isSaved && !store) event.preventDefault();
  });
  showList();
  showProgress();
  isSaved = true;
  const first = issues.findIndex((_, place) => !decided[place]);
  show(first < 0 ? 0 : first);
  if (Object.keys(decided).length) say("The decisions of your last visit are here.");
})();
