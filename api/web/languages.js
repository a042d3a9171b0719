// The reader's languages, in the order of the browser's settings.

/** BCP 47 tags, at least one. A browser may also name what is no language, as WebKit does on a system without one ("c"). */
export function readersLanguages() {
  const known = (globalThis.navigator?.languages ?? []).filter(isLanguage);
  return known.length ? known : ["en-US"];
}

function isLanguage(tag) {
  try {
    return Intl.getCanonicalLocales(tag).length > 0;
  } catch {
    return false;
  }
}
