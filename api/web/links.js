// Finds addresses of the web in what people wrote. Pure.

/** Only these schemes: others can run scripts or start programs. api/pages/links.py finds the same. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"]+/gi;
/** What ends a sentence is no part of an address. */
const END = /[.,;:!?'*_~”’»…)\]]+$/u;
/** What browsers refuse in a host. With a name before it, an address only looks as if it led there. */
const FORBIDDEN = /[@^|%<>[\]\p{Cc}]/u;

/** Returns the text as parts, {text, href}; `href` is null where it is no link. */
export function partsOfText(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(ADDRESS)) {
    const address = withoutEnd(found);
    if (!leadsWhereItSays(address)) continue;
    if (index > end) parts.push({ text: text.slice(end, index), href: null });
    parts.push({ text: address, href: address });
    end = index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}

/** A closing bracket belongs to an address that has its opening one, as in Wikipedia's. */
function withoutEnd(found) {
  const cut = found.replace(END, "");
  return found.startsWith(")", cut.length) && cut.includes("(") && !cut.includes(")") ? `${cut})` : cut;
}

function leadsWhereItSays(address) {
  const [host] = address.replace(/^https?:\/\//i, "").split(/[/?#\\]/);
  return host !== "" && !FORBIDDEN.test(host);
}
