// The height of what is in view, as --seen-height: on some phones the keyboard covers a part of the page, and CSS has no
// unit for the rest.

const { visualViewport } = window;

function tell() {
  // Zooming makes the view smaller too, and must not change the page.
  if (visualViewport.scale > 1.01) return;
  document.documentElement.style.setProperty("--seen-height", `${visualViewport.height}px`);
}

if (visualViewport) {
  visualViewport.addEventListener("resize", tell);
  tell();
}
