"""Scripts for pages under a keyboard: what was on the screen at each press, presses in a rhythm, and paint times."""

from __future__ import annotations

# What was on the screen at each key press, and when that was, noted before the page's own listener sees the key.
WITNESS = """
window.presses = [];
window.addEventListener('keydown', (event) => {
  window.pressedAt = event.timeStamp;
  const hosts = [...document.querySelectorAll('*')].filter((e) => e.shadowRoot?.querySelector('.desk'));
  const desk = hosts[0]?.shadowRoot.querySelector('.desk') ?? document.querySelector('.desk');
  window.presses.push(desk?.dataset.painted ? Number(desk.dataset.painted) : null);
}, true);
"""
PRESS_EVERY = """
([key, count, gap]) => new Promise((done) => {
  const press = () => window.dispatchEvent(new KeyboardEvent('keydown', {key, code: 'Digit' + key, bubbles: true}));
  if (gap === 0) { for (let i = 0; i < count; i++) press(); done(); return; }
  let left = count;
  const timer = setInterval(() => { press(); if (--left === 0) { clearInterval(timer); done(); } }, gap);
})
"""
# With the witness: from the key (the event's own time) to the task after the frame in which another post is there.
PAINTS = """
(desk) => {
  window.paints = [];
  window.pressedAt = null;
  new MutationObserver(() => {
    if (window.pressedAt === null || !desk.dataset.painted) return;
    window.paints.push(performance.now() - window.pressedAt);
    window.pressedAt = null;
  }).observe(desk, { attributeFilter: ['data-painted'] });
}
"""
# The least that a page can do for a key: another digit, painted in the next frame; told apart in the same way.
EMPTY_PAGE = """<!doctype html><meta charset=utf-8><p>0</p><script>
window.paints = [];
window.addEventListener('keydown', (event) => {
  document.querySelector('p').textContent = String(window.paints.length);
  requestAnimationFrame(() => setTimeout(() => window.paints.push(performance.now() - event.timeStamp)));
}, true);
</script>"""
