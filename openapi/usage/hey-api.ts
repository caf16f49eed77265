// What a frontend writes with hey-api's client. Compiled, never run.
import { exportCustomer, listDocuments, openDocument, savePaymentSource } from "../generated/hey-api";
import type { OrderView } from "../generated/hey-api";

export async function documents(): Promise<string[]> {
  const found: string[] = [];
  let cursor: string | null = null;
  do {
    const query: { cursor?: string } = cursor === null ? {} : { cursor };
    const { data, error } = await listDocuments({ query });
    if (error !== undefined) throw new Error(error.detail);
    found.push(...data.data.map((one) => one.id));
    cursor = data.nextCursor;
  } while (cursor !== null);
  return found;
}

export async function firstOrder(): Promise<OrderView | undefined> {
  const { data } = await exportCustomer({ path: { customerId: "me" } });
  return data?.orders[0];
}

export async function save(sourceId: string): Promise<string | undefined> {
  // What has a default may be left out.
  const { data } = await savePaymentSource({ path: { customerId: "me" }, body: { sourceId } });
  return data?.label;
}

export async function pdf(documentId: string): Promise<number | undefined> {
  const { data } = await openDocument({ path: { documentId }, query: { disposition: "proxy" } });
  return data instanceof Blob ? data.size : undefined;
}
