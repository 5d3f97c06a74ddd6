// Comfort only: without it the page says the same.
(function () {
  "use strict";
  // A link into a closed part opens it.
  function open() {
    var at = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!at) return;
    for (var e = at; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    at.scrollIntoView();
    if (at.tagName === "DETAILS") at.firstElementChild.focus({ preventScroll: true });
  }
  addEventListener("hashchange", open);
  open();

  // Of a long timeline the end matters most.
  function toEnd(root) {
    root.querySelectorAll(".tl-scroll").forEach(function (t) { t.scrollLeft = t.scrollWidth; });
  }
  toEnd(document);
  document.querySelectorAll("details").forEach(function (d) {
    d.addEventListener("toggle", function () { if (d.open) toEnd(d); });
  });

  // Ids can be copied.
  var status = document.getElementById("status");
  function copied(button) {
    button.textContent = "Copied";
    status.textContent = "Copied";
    setTimeout(function () { button.textContent = "Copy"; status.textContent = ""; }, 1500);
  }
  function select(node) {
    var range = document.createRange();
    range.selectNodeContents(node);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
  }
  document.querySelectorAll("p.id > code").forEach(function (code) {
    var button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy the command for " + code.dataset.id);
    button.addEventListener("click", function () {
      if (navigator.clipboard && isSecureContext)
        navigator.clipboard.writeText(code.textContent).then(function () { copied(button); },
                                                             function () { select(code); });
      else {
        select(code);
        if (document.execCommand("copy")) copied(button);
      }
    });
    code.after(button);
  });

  // On paper nothing is folded away.
  var closed = [];
  addEventListener("beforeprint", function () {
    closed = Array.prototype.slice.call(document.querySelectorAll("details:not([open])"));
    closed.forEach(function (d) { d.open = true; });
  });
  addEventListener("afterprint", function () { closed.forEach(function (d) { d.open = false; }); });
})();
