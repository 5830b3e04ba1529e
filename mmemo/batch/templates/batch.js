"use strict";
(() => {
  const box = document.querySelector("input.find");
  if (!box) return;
  const rows = [...document.querySelectorAll("table.clips tr.clip")];
  const count = document.querySelector(".count");
  const show = () => {
    const wanted = box.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !wanted.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = wanted.length ? `${shown} of ${rows.length}` : "";
  };
  box.addEventListener("input", show);
  show();
})();
