// The way from the hall's screen to the phone at its door: a QR code of the check-in page with the hall's own token.

import { picture } from "./api.js";

/** Makes the button of the lobby and its dialog work. */
export function doorDialog(token, root = document) {
  const [dialog, image, problem] = ["door", "door-qr", "door-problem"].map((id) => root.getElementById(id));
  root.getElementById("door-link").href = `/checkin#token=${token}`;
  root.getElementById("door-open").addEventListener("click", async () => {
    problem.textContent = "";
    dialog.showModal();
    try {
      const svg = await picture(token, "/api/v1/halls/checkin-qr", { origin: location.origin });
      image.src = `data:image/svg+xml,${encodeURIComponent(svg)}`;
      image.hidden = false;
    } catch {
      image.hidden = true;
      problem.textContent = "Chưa lấy được mã, hãy thử lại. / The code cannot be had now; try again.";
    }
  });
}
