// Calls the user service with @connectrpc/connect-web's transports:
// node connect_web_client.mjs URL DESCRIPTOR_SET connect|grpc-web
// Prints one line of JSON: what each call answered.
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";

const [baseUrl, descriptorSet, kind] = process.argv.slice(2);
const set = fromBinary(FileDescriptorSetSchema, readFileSync(descriptorSet));
const service = createFileRegistry(set).getService("user.UserService");
const make = kind === "connect" ? createConnectTransport : createGrpcWebTransport;
const client = createClient(service, make({ baseUrl }));
const headers = { authorization: "Bearer demo-token" };

async function refused(promise) {
  try {
    await promise;
  } catch (error) {
    const found = ConnectError.from(error);
    return { code: Code[found.code], detail: found.rawMessage, details: found.details.length };
  }
  return null;
}

const username = `node-${kind}`;
const created = await client.createUser({ user: { username, age: 80n } }, { headers });
const watched = [];
for await (const user of client.watchUsers({ atLeast: 80n })) {
  watched.push(user.username);
}
console.log(
  JSON.stringify({
    created: created.username,
    got: Number((await client.getUser({ id: created.id })).age),
    refused: await refused(client.createUser({ user: { username: "eve" } })),
    missing: await refused(client.getUser({ id: 987654321n })),
    watched,
  }),
);
