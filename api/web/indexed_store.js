// A store of the browser's IndexedDB: values by key, in a database of its own.

/**
 * Returns a function (mode, work) that makes one transaction. It resolves with the result of the request that
 * `work(store)` makes when that is stored, and rejects if the browser has no storage or no room in it.
 */
export function indexedStore(name, storeName) {
  return (mode, work) =>
    new Promise((resolve, reject) => {
      const opening = indexedDB.open(name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(storeName);
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const database = opening.result;
        const doing = database.transaction(storeName, mode);
        const request = work(doing.objectStore(storeName));
        const end = (settle) => () => {
          database.close();
          settle();
        };
        doing.oncomplete = end(() => resolve(request.result));
        doing.onabort = end(() => reject(doing.error));
      };
    });
}
