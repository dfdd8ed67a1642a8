// The desk without this script works as well; with it, a page that shows what waits is always the newest one.
"use strict";

(() => {
  const region = () => document.querySelector("[data-live]");
  if (!region() || !window.EventSource) return;
  let fetching = false, again = false;

  // Whoever stands on a link with the keyboard stays on it.
  const place = (root) => {
    const active = document.activeElement;
    return active && root.contains(active) ? active.getAttribute("href") : null;
  };

  async function refresh() {
    if (fetching) { again = true; return; }
    fetching = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", cache: "no-store" });
      if (answer.redirected || !answer.ok) { location.reload(); return; }
      const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-live]");
      const now = region();
      if (next && now && next.innerHTML !== now.innerHTML) {
        const href = place(now);
        now.replaceWith(next);
        if (href) next.querySelector(`a[href="${CSS.escape(href)}"]`)?.focus({ preventScroll: true });
        const status = document.getElementById("live-status");
        if (status) status.textContent = status.dataset.text;
      }
    } catch {
      // The next event tries again.
    } finally {
      fetching = false;
      if (again) { again = false; setTimeout(refresh, 1000); }
    }
  }

  const source = new EventSource("/desk/live");
  source.addEventListener("changed", refresh);
  let hellos = 0;
  source.addEventListener("hello", () => { if (hellos++) refresh(); });
  addEventListener("pagehide", () => source.close());
})();

// "/" leads to the search, as in many tools that people live in.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || /^(input|textarea|select)$/i.test(event.target.tagName)) return;
  event.preventDefault();
  document.getElementById("q")?.focus();
});
