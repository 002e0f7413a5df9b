// Sends a file straight to S3 as version 5 of Uppy's plugin does; tells each part, and the end.
import { readFile } from "node:fs/promises";
import { AwsS3, Uppy } from "uppy-5";

const said = JSON.parse(process.argv[2]);
const tell = (what) => console.log(JSON.stringify(what));

// Node has no XMLHttpRequest; the plugin lets the bytes be sent another way.
async function uploadPartBytes({ signature, body, onComplete, signal }) {
  const method = signature.method ?? "PUT";
  const response = await fetch(signature.url, { method, headers: signature.headers, body, signal });
  if (!response.ok) throw Object.assign(new Error("Non 2xx"), { source: response });
  const etag = response.headers.get("etag");
  onComplete(etag);
  return { ETag: etag, location: response.headers.get("location") };
}

class NodesAwsS3 extends AwsS3 {
  constructor(uppy, options) {
    super(uppy, { shouldUseMultipart: said.multipart, ...options, uploadPartBytes });
  }
}
// An example of the documents, as it stands there.
const example = (code) =>
  new Function("Uppy", "AwsS3", "token", `${code}\nreturn uppy;`)(Uppy, NodesAwsS3, said.token);
const ours = () =>
  new Uppy().use(NodesAwsS3, { endpoint: said.endpoint, headers: said.headers, ...said.options });
const uppy = said.example ? example(said.example) : ours();
let parts = 0;
uppy.on("s3-multipart:part-uploaded", (file, part) => {
  tell({ part: part.PartNumber, etag: part.ETag });
  parts += 1;
  if (parts === said.pauseAfter) {
    // As a user would: everything stops, and goes on with what the server says is there.
    uppy.pauseAll();
    setTimeout(() => uppy.resumeAll(), 200);
  }
  if (parts === said.cancelAfter) uppy.cancelAll();
});
uppy.addFile({
  name: said.name,
  type: said.type,
  data: new Blob([await readFile(said.path)], { type: said.type }),
  meta: said.meta ?? {},
});
const result = await uppy.upload();
for (const file of result?.successful ?? []) tell({ body: file.response.body });
for (const file of result?.failed ?? []) tell({ failed: String(file.error) });
