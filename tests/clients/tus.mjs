// Sends a file with tus-js-client as the arguments (JSON) say; tells of it in lines of JSON.
import { createReadStream } from "node:fs";
import { PassThrough } from "node:stream";
import { FileUrlStorage, Upload } from "tus-js-client";

const said = JSON.parse(process.argv[2]);
const tell = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const options = {
  endpoint: said.endpoint,
  headers: said.headers ?? {},
  metadata: said.metadata ?? {},
  retryDelays: [0, 50, 100, 200, 400, 800],
  fingerprint: async () => said.path,
  urlStorage: new FileUrlStorage(said.storage),
  onProgress: (sent, total) => tell({ sent, total }),
  onAfterResponse: (request, response) =>
    tell({
      method: request.getMethod(),
      status: response.getStatus(),
      job: response.getHeader("Upload-Job") ?? null,
    }),
  ...said.options,
};
// A file tells its length by itself; what comes through a pipe does not.
const file = createReadStream(said.path);
const source = options.uploadLengthDeferred ? file.pipe(new PassThrough()) : file;

const upload = new Upload(source, {
  ...options,
  onError: (error) => {
    tell({ error: String(error) });
    process.exit(1);
  },
  onSuccess: async () => {
    if (said.abortAtEnd) {
      upload.options.headers = said.abortAtEnd;
      await upload.abort(true);
      tell({ aborted: true });
    }
    tell({ url: upload.url });
  },
});
if (said.abortAfter !== undefined) {
  upload.options.onProgress = async (sent) => {
    if (sent < said.abortAfter || upload.isAborting) return;
    upload.isAborting = true;
    await upload.abort(true);
    tell({ aborted: true });
    process.exit(0);
  };
}
const before = await upload.findPreviousUploads();
if (before.length > 0) upload.resumeFromPreviousUpload(before[0]);
tell({ resumes: before.length > 0 });
upload.start();
