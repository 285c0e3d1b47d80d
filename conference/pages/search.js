// Vietnamese without its marks: `diem cau ba dinh` finds "Điểm cầu Ba Đình", in any order of words. Pure.

/** A text in small letters without marks. */
export function fold(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").replace(/[đĐ]/g, "d").toLowerCase();
}

/** True when every word of `wanted` begins some word of `text`, or stands in it where it is a number. */
export function matches(text, wanted) {
  const folded = fold(text);
  return fold(wanted)
    .split(/[^\p{L}\p{N}]+/u)
    .filter(Boolean)
    .every((word) => (/^\d+$/.test(word) ? folded.includes(word) : new RegExp(`(^|[^\\p{L}\\p{N}])${word}`, "u").test(folded)));
}
