// Where the person looks for cars. The browser remembers it; the server gets it only as a part of a search.

const KEY = "daveslist.place";

/** Returns {near, within} of the last search near a place; an empty object if there was none. */
export function rememberedPlace() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

/** Remembers the place of a search, or forgets it if the search has none. */
export function rememberPlace({ near, within }) {
  try {
    if (near) localStorage.setItem(KEY, JSON.stringify(within ? { near, within } : { near }));
    else localStorage.removeItem(KEY);
  } catch {
    // Some browsers have no storage in private windows.
  }
}

/**
 * Asks the browser where it is, which asks the person. Resolves with "latitude,longitude", to about a kilometre: no
 * more is needed to find cars. Rejects if the person or the browser does not tell.
 */
export function whereAmI() {
  return new Promise((resolve, reject) => {
    if (!navigator.geolocation) return reject(new Error("This browser does not know where it is."));
    navigator.geolocation.getCurrentPosition(
      ({ coords }) => resolve(`${coords.latitude.toFixed(2)},${coords.longitude.toFixed(2)}`),
      () => reject(new Error("Your location is not known. Type a town or a ZIP code.")),
      { timeout: 10_000, maximumAge: 600_000 },
    );
  });
}
