// What the check-in page says of each result and standing: tone, sign, Vietnamese, English.

/** Of a scan. Tones: "good" (counted), "kept" (on this device), "look" (somebody has to look). */
export const RESULTS = {
  kept: ["kept", "✓", "Đã ghi trên máy này", "Kept on this device; it is sent when the line is back"],
  sending: ["kept", "…", "Đang gửi", "Sending"],
  counted: ["good", "✓", "Đã điểm danh", "Checked in"],
  recorded: ["good", "✓", "Đã ghi nhận", "Recorded"],
  again: ["good", "✓", "Đã có từ trước", "Already checked in"],
  elsewhere: ["look", "!", "Đã điểm danh ở điểm cầu khác", "Checked in at another hall"],
  unknown: ["look", "?", "Không có trong danh sách", "Not on the list"],
  forged: ["look", "✕", "Mã không hợp lệ", "Not a valid code"],
  withdrawn: ["look", "✕", "Đã rút khỏi danh sách", "Withdrawn from the list"],
  other_conference: ["look", "✕", "Mã của hội nghị khác", "A code of another conference"],
  other_hall: ["look", "!", "Đại biểu của điểm cầu khác", "A delegate of another hall"],
  replaced: ["look", "✕", "Mã cũ, đã có mã mới thay", "An old code; a new one was issued"],
  void: ["look", "!", "Đã được ghi là quét nhầm", "Marked as scanned by mistake"],
  limited: ["look", "✕", "Sai mã PIN nhiều lần, hãy đợi rồi thử lại", "Too many wrong PINs; wait and try again"],
  unreadable: ["look", "✕", "Không gửi được lượt này", "This one cannot be sent"],
  full: ["look", "✕", "Máy này hết chỗ lưu, chưa ghi được", "This device's storage is full; not recorded"],
  expired: ["look", "✕", "Đường dẫn hết hiệu lực, hãy hỏi cán bộ kỹ thuật", "This link is not valid any more; ask the technician"],
  no_store: ["look", "✕", "Trình duyệt không cho lưu; hãy mở trang ở cửa sổ thường", "No storage here; open the page in an ordinary window"],
  offline: ["look", "!", "Chưa có mạng, hãy thử lại", "No line; try again"],
};

/** What is said of a result that this page does not know. */
export const resultOf = (result) => RESULTS[result] ?? ["look", "?", String(result), ""];

/** Of a delegate. */
export const STANDINGS = {
  present: ["✓", "Có mặt", "Present"],
  excused: ["–", "Vắng có lý do", "Excused"],
  unexcused: ["✕", "Vắng không lý do", "Unexcused"],
  exempt: ["○", "Miễn sinh hoạt", "Exempt"],
  none: ["·", "Chưa điểm danh", "Not yet marked"],
};

/** What a technician may say of a delegate who stands by the door, or is not here: label of the button. */
export const MARKS = {
  present: ["✓", "Có mặt", "Present"],
  excused: ["–", "Vắng có lý do", "Excused"],
  unexcused: ["✕", "Vắng không lý do", "Unexcused"],
  exempt: ["○", "Miễn sinh hoạt", "Exempt"],
  none: ["·", "Bỏ ghi", "Take the mark back"],
  void: ["⌫", "Quét nhầm", "Scanned by mistake"],
};

/** Of the line to the coordinator. */
export const LINES = {
  up: ["Có mạng", "Online"],
  down: ["Mất mạng – cứ điểm danh tiếp, máy giữ lại", "No line – go on, this device keeps all"],
  busy: ["Máy chủ bận – cứ điểm danh tiếp, máy giữ lại", "The server is busy – go on, this device keeps all"],
  closed: ["Hội nghị chưa mở điểm danh – máy giữ lại", "Check-in is not open – this device keeps all"],
  refused: [
    "Đường dẫn hết hiệu lực – hãy xin đường dẫn mới; những gì đã quét vẫn còn trên máy",
    "This link is not valid any more – ask for a new one; what was scanned is kept here",
  ],
};

/** Why there is no camera. */
export const CAMERAS = {
  insecure: ["Trình duyệt chỉ cho dùng máy ảnh khi trang mở bằng https.", "The camera needs a page opened by https."],
  refused: ["Chưa cho phép dùng máy ảnh. Hãy cho phép trong trình duyệt rồi bấm lại.", "The camera was not allowed. Allow it and press again."],
  absent: ["Không mở được máy ảnh. Hãy dùng máy quét hoặc gõ số.", "No camera. Use a scanner or type the number."],
  no_reader: ["Máy này chưa đọc được mã bằng máy ảnh. Hãy dùng máy quét hoặc gõ số.", "No reader of codes here. Use a scanner or type the number."],
};
