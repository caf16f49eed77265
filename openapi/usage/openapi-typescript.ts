// What a frontend writes with openapi-typescript's types. Compiled, never run.
import createClient from "openapi-fetch";
import type { components, paths } from "../generated/openapi-typescript/portal";

const portal = createClient<paths>({ baseUrl: "https://shop.example" });

// What has a default may be left out, in a body as in a query.
export const saved: components["schemas"]["SourceToSave"] = { sourceId: "one" };

export async function documents(): Promise<[string, string | null][]> {
  const found: [string, string | null][] = [];
  let cursor: string | null = null;
  do {
    const query: { cursor?: string } = cursor === null ? {} : { cursor };
    const { data, error } = await portal.GET("/v1/documents", { params: { query } });
    if (error !== undefined) throw new Error(error.detail);
    found.push(...data.data.map((one): [string, string | null] => [one.id, one.link && one.link.url]));
    cursor = data.nextCursor;
  } while (cursor !== null);
  return found;
}

export async function firstOrder(): Promise<components["schemas"]["OrderView"] | undefined> {
  const path = { customerId: "me" };
  const { data, response } = await portal.GET("/v1/customers/{customerId}/export", { params: { path } });
  if (response.status === 403) return undefined;
  return data?.orders[0];
}

export type NotText = string extends Pdf ? (Pdf extends string ? never : true) : true;
type Pdf =
  paths["/v1/documents/{documentId}/content"]["get"]["responses"]["200"]["content"]["application/pdf"];
export const aPdfIsNotText: NotText = true;
