// Draws the page once for all changes of one turn of the event loop.

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
