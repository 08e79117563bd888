export { Client, createClient, type Call, type ClientOptions } from "./client.js";
export { AccessLostError, type LiveMessage, type LiveOptions } from "./events.js";
export { ProblemError, type FieldError, type Problem, type ProblemExtensions } from "./problem.js";
export { type RetryPolicy } from "./retry.js";
export { memoryStore, type Tokens, type TokenStore } from "./session.js";
export {
  ifMatch,
  type Answer,
  type CallArguments,
  type CallOptions,
  type Data,
  type ItemOf,
  type ListPath,
  type PathsOf,
  type Schemas,
  type WorkspaceEvent,
  type WorkspaceEvents,
  type components,
  type paths,
} from "./types.js";
