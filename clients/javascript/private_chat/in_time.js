// Gives up what the application is asked for and does not answer in time: the chat asks again later.

/** As long as a request of byRest may take. */
export const LIMIT_MS = 30_000

/** Settles as the promise does; rejects if that takes longer than LIMIT_MS. */
export async function inTime(promise) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer after ${LIMIT_MS} ms`)), LIMIT_MS)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Yields what an iterable yields. Throws if the next item takes longer than LIMIT_MS. */
export async function* eachInTime(iterable) {
  const items = (async function* () {
    yield* iterable
  })()
  try {
    for (let item = await inTime(items.next()); !item.done; item = await inTime(items.next())) yield item.value
  } finally {
    // Not awaited: it would wait for an item that never comes.
    items.return().catch(() => {})
  }
}
