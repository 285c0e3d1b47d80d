// Fields of a hall as people call them, and how a change of one is shown.

import { make } from "./dom.js";

const FIELDS = {
  name: "tên",
  unit: "đơn vị",
  level: "cấp",
  seats: "số đại biểu",
  address: "địa chỉ",
  contact_name: "người trực",
  contact_phone: "điện thoại",
  virtual: "ảo",
  organisation: "tổ chức",
  line: "đường truyền",
  carrier: "nhà mạng",
  bandwidth_mbps: "băng thông",
  devices: "thiết bị",
};

/** A field's name for people. */
export const fieldName = (field) => FIELDS[field] ?? field;

/** Before and after; of contacts it may be told only that they changed. */
export function valuesOf(before, after) {
  if (!before && !after) return [make("ins", "", "đã đổi / changed")];
  return [make("del", "", before || "(trống)"), " → ", make("ins", "", after || "(trống)")];
}
