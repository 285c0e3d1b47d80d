// What was taken on this device and is not yet with the coordinator. Each entry is on the disk before it is shown as
// taken, and leaves it when the coordinator has answered for it; a reload, a flat battery and days change nothing.
//
// Entries belong to a place (a hall in a conference): a device that serves another hall tomorrow keeps yesterday's.

const NAME = "diemcau-checkin";
const WAITING = "waiting"; // not yet answered for
const REVIEW = "review"; // answered, and somebody has to look: unknown, forged, at another hall
const KNOWN = "known"; // what a reload without a line needs, by place: names of hall and conference, the public key
const STRICT = { durability: "strict" }; // on the disk, not only with the operating system

/** Opens the device's store. */
export async function openQueue() {
  const request = indexedDB.open(NAME, 1);
  request.onupgradeneeded = () => {
    for (const name of [WAITING, REVIEW]) {
      request.result.createObjectStore(name, { keyPath: "id", autoIncrement: true }).createIndex("place", "place");
    }
    request.result.createObjectStore(KNOWN, { keyPath: "place" });
  };
  const database = await done(request);
  // Without it a browser short of space may throw the store away.
  navigator.storage?.persist?.().catch(() => {});
  return new Queue(database);
}

function done(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function committed(transaction) {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

class Queue {
  #database;

  constructor(database) {
    this.#database = database;
  }

  /** Stores an entry; it is on the disk when this resolves, with its id. Rejects where the device's disk is full. */
  async put(entry) {
    const transaction = this.#database.transaction(WAITING, "readwrite", STRICT);
    const request = transaction.objectStore(WAITING).add(entry);
    await committed(transaction);
    return { ...entry, id: request.result };
  }

  /** The oldest entries of a place. */
  waiting(place, most) {
    const index = this.#database.transaction(WAITING).objectStore(WAITING).index("place");
    return done(index.getAll(place, most));
  }

  /** How many wait, of this place and of all others. */
  async counts(place) {
    const store = this.#database.transaction(WAITING).objectStore(WAITING);
    const [here, all] = await Promise.all([done(store.index("place").count(place)), done(store.count())]);
    return { here, elsewhere: all - here };
  }

  /** Entries were answered for: they wait no more; those with a `result` to look at are kept for review. */
  settle(ids, review) {
    const transaction = this.#database.transaction([WAITING, REVIEW], "readwrite", STRICT);
    for (const id of ids) transaction.objectStore(WAITING).delete(id);
    for (const entry of review) transaction.objectStore(REVIEW).put(entry);
    return committed(transaction);
  }

  /** Entries of a place that somebody has to look at. */
  review(place) {
    return done(this.#database.transaction(REVIEW).objectStore(REVIEW).index("place").getAll(place));
  }

  /** Somebody looked at an entry. */
  dismiss(id) {
    const transaction = this.#database.transaction(REVIEW, "readwrite", STRICT);
    transaction.objectStore(REVIEW).delete(id);
    return committed(transaction);
  }

  /** What is known of a place, or undefined. */
  known(place) {
    return done(this.#database.transaction(KNOWN).objectStore(KNOWN).get(place));
  }

  /** Remembers what is known of a place. */
  remember(known) {
    const transaction = this.#database.transaction(KNOWN, "readwrite");
    transaction.objectStore(KNOWN).put(known);
    return committed(transaction);
  }
}
