// Asks for a job, and waits until it is done: node enqueue.mjs KIND PAYLOAD KEY
// BERTH is where Berth is (http://localhost:8080), APP_KEY what `berth keys create` has printed. No package is needed.
const [kind, payload, key] = process.argv.slice(2);
const ask = async (path, options = {}) => {
  const headers = { authorization: `Bearer ${process.env.APP_KEY}`, "content-type": "application/json" };
  const response = await fetch(process.env.BERTH + path, { ...options, headers });
  const body = await response.json();
  if (!response.ok) {
    console.error(`${response.status}: ${body.detail}`);
    process.exit(1);
  }
  return body;
};

// Under a key a request may be sent again, as after a lost answer: it is answered with the same job.
const body = JSON.stringify({ kind, payload: JSON.parse(payload), key });
let job = await ask("/v1/jobs", { method: "POST", body });
while (job.state === "queued" || job.state === "running") {
  await new Promise((resolve) => setTimeout(resolve, 100));
  job = await ask(`/v1/jobs/${job.id}`);
}
console.log(job.state);
