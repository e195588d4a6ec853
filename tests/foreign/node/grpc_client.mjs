// Calls the user service with @grpc/grpc-js: node grpc_client.mjs ADDRESS DESCRIPTOR_SET
// Prints one line of JSON: what each call answered.
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import { loadFileDescriptorSetFromBuffer } from "@grpc/proto-loader";

const [address, descriptorSet] = process.argv.slice(2);
const definition = loadFileDescriptorSetFromBuffer(readFileSync(descriptorSet), {
  keepCase: true,
  longs: Number,
});
const { user } = grpc.loadPackageDefinition(definition);
const client = new user.UserService(address, grpc.credentials.createInsecure());

function call(method, request, metadata = new grpc.Metadata()) {
  return new Promise((resolve) => {
    client[method](request, metadata, (error, response) => {
      resolve(
        error
          ? {
              code: error.code,
              detail: error.details,
              rich: error.metadata.get("grpc-status-details-bin").length > 0,
            }
          : response,
      );
    });
  });
}

function stream(method, request) {
  return new Promise((resolve, reject) => {
    const items = [];
    client[method](request)
      .on("data", (item) => items.push(item.username))
      .on("error", reject)
      .on("end", () => resolve(items));
  });
}

const token = new grpc.Metadata();
token.set("authorization", "Bearer demo-token");

const created = await call("CreateUser", { user: { username: "node-grpc", age: 70 } }, token);
const answers = {
  created: created.username,
  got: (await call("GetUser", { id: created.id })).age,
  refused: await call("CreateUser", { user: { username: "eve" } }),
  missing: await call("GetUser", { id: 987654321 }),
  watched: await stream("WatchUsers", { at_least: 70 }),
};
client.close();
console.log(JSON.stringify(answers));
