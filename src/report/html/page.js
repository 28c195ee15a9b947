"use strict";
// Sorting, searching and folding. Without it everything is there and unfolded.
document.documentElement.classList.add("js");
document.addEventListener("DOMContentLoaded", () => {
  const all = (selector, under) => Array.from((under || document).querySelectorAll(selector));
  const items = all(".item");
  const texts = new Map();
  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const find = document.getElementById("find");
  const only = document.getElementById("only");

  const fold = (item, open) => {
    item.classList.toggle("open", open);
    item.querySelector(".fold").setAttribute("aria-expanded", String(open));
  };
  items.forEach((item) => fold(item, false));

  for (const head of all("thead th")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.textContent = head.textContent;
    // Browsers do not repeat buttons on each printed page.
    const printed = document.createElement("span");
    printed.className = "printed";
    printed.append(...head.childNodes);
    head.append(button, printed);
    head.setAttribute("aria-sort", "none");
  }

  // The words of an item, folded ones too. Made once, when they are first asked for.
  const text = (item) => {
    if (!texts.has(item)) texts.set(item, item.textContent.toLowerCase());
    return texts.get(item);
  };

  const filter = () => {
    const words = find.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const section of all("section[aria-labelledby]")) {
      let shown = 0;
      const own = all(".item", section);
      for (const item of own) {
        const there = (!only.checked || "problem" in item.dataset) && words.every((word) => text(item).includes(word));
        item.hidden = !there;
        if (there) shown += 1;
      }
      const count = section.querySelector(".count");
      count.textContent = shown === own.length ? String(own.length) : shown + " of " + own.length;
      section.querySelector(".nothing").hidden = shown > 0;
    }
  };

  const value = (item, column) => {
    const cell = item.rows[0].cells[column];
    return cell.dataset.v === undefined ? cell.textContent.trim() : cell.dataset.v;
  };
  const sort = (head) => {
    const table = head.closest("table");
    const column = head.cellIndex;
    const rows = all(".item", table).map((item) => ({ item, value: value(item, column) }));
    const numbers = rows.every((row) => row.value !== "" && !Number.isNaN(Number(row.value)));
    const before = head.getAttribute("aria-sort");
    // Counts are looked at from the top, names from the beginning.
    const down = before === "none" ? numbers : before === "ascending";
    const sign = down ? -1 : 1;
    rows.sort((a, b) => sign * (numbers ? Number(a.value) - Number(b.value) : collator.compare(a.value, b.value)));
    for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const moved = document.createDocumentFragment();
    rows.forEach((row) => moved.appendChild(row.item));
    table.appendChild(moved);
  };

  // What a link leads to is shown, whatever is searched for, and unfolded.
  const arrive = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    if (target.classList.contains("item")) {
      if (target.hidden) {
        find.value = "";
        only.checked = false;
        filter();
      }
      fold(target, true);
    }
    target.scrollIntoView();
  };

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest(selector);
    if (at(".sort")) return sort(at("th"));
    if (at(".all")) {
      const button = at(".all");
      const open = button.getAttribute("aria-expanded") !== "true";
      all(".item", button.closest("section")).filter((item) => !item.hidden).forEach((item) => fold(item, open));
      button.setAttribute("aria-expanded", String(open));
      button.textContent = open ? "Close all" : "Open all";
      return undefined;
    }
    const row = at(".item > tr:first-child");
    if (row && !at("a") && (at(".fold") || String(getSelection()) === "")) fold(row.parentElement, !row.parentElement.classList.contains("open"));
    return undefined;
  });
  let waiting = 0;
  find.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  only.addEventListener("change", filter);
  find.form.addEventListener("submit", (event) => {
    event.preventDefault();
    filter();
  });
  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      find.focus();
    } else if (event.key === "Escape" && event.target === find) {
      find.value = "";
      filter();
    }
  });
  window.addEventListener("hashchange", arrive);
  filter();
  arrive();
});
