// The icons. All are decoration: the words beside them carry the meaning.

import { html } from "../vendor/lit-html/lit-html.js";

export const carIcon = html`<svg class="icon" viewBox="0 0 48 24" aria-hidden="true" focusable="false">
  <path
    d="M4 18h-1.5c-.8 0-1.5-.7-1.5-1.5v-3.2c0-1 .7-1.9 1.7-2.1l6.300-1.200 5.200-4.900c1.200-1.200 2.900-1.800 4.600-1.800h9.700c2.100 0 4.100.9 5.500 2.500l3.700 4.200 6.200 1.500c1.800.4 3.100 2 3.100 3.900v1.100c0 .8-.7 1.500-1.500 1.500H42"
  />
  <path d="M14 18h18M12.500 10h21M23 4v6" />
  <circle cx="9" cy="18" r="4" />
  <circle cx="37" cy="18" r="4" />
</svg>`;

export const searchIcon = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <circle cx="10.500" cy="10.500" r="6.500" />
  <path d="m15.500 15.500 5.500 5.500" />
</svg>`;

export const heartIcon = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <path d="M12 20.500 4.200 12.700a5 5 0 0 1 7.100-7.100l.7.7.7-.7a5 5 0 0 1 7.100 7.100z" />
</svg>`;

export const bellIcon = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <path d="M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 2h-15z" />
  <path d="M10 21.500h4" />
</svg>`;

export const messageIcon = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <path d="M4 5h16v11H10l-4.500 4v-4H4z" />
</svg>`;

export const menuIcon = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <path d="M4 6.500h16M4 12h16M4 17.500h16" />
</svg>`;

export const sendIcon = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <path d="M4 12 20 4l-5 16-4-7z" />
</svg>`;

export const pictureIcon = html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">
  <path d="M4 5h16v14H4z" />
  <path d="m4 16 5-5 4 4 3-3 4 4" />
  <circle cx="15.500" cy="9" r="1.500" />
</svg>`;
