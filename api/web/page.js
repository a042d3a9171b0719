// Draws the page after what changed in this turn of the event loop, once.

let draw = () => {};
let isQueued = false;

export function drawWith(drawer) {
  draw = drawer;
}

export function update() {
  if (isQueued) return;
  isQueued = true;
  queueMicrotask(() => {
    isQueued = false;
    draw();
  });
}
