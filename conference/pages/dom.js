// Small parts that the pages build their lists of. Text of the server is set as text and never as markup.

export const $ = (id) => document.getElementById(id);

/** A number as Việt Nam writes it. */
export const number = (value) => (Number(value) || 0).toLocaleString("vi");

/** The time of day of a moment in ms. */
export const time = (ms, options = { hour: "2-digit", minute: "2-digit", second: "2-digit" }) =>
  new Date(ms).toLocaleTimeString("vi", options);

/** An element with a class ("" for none) and children. */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** The English half of a label. */
export const english = (text) => Object.assign(make("span", "", text), { lang: "en" });

/** A label in both languages, Vietnamese first. */
export const both = (vi, en) => [vi, " ", english(en)];

/** Marks what is simulated. */
export const virtualMark = () => Object.assign(make("span", "virtual", "ảo"), { title: "Mô phỏng / Simulated" });

/** Sets text where it changed, so that a selection and a screen reader are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Rows keep their element while their key lives, so that a table of thousands does not flicker or lose a selection. */
export function reconcile(parent, items, keyOf, create, update) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let before = null;
  for (const item of items) {
    const key = String(keyOf(item));
    let row = old.get(key);
    if (row) old.delete(key);
    else {
      row = create(item);
      row.dataset.key = key;
    }
    update(row, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (row !== place) parent.insertBefore(row, place);
    before = row;
  }
  for (const row of old.values()) row.remove();
}
