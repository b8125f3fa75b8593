import type { components } from "./openapi";

type Schemas = components["schemas"];

export type NewOrder = Schemas["NewOrder"];
export type Cancellation = Schemas["Cancellation"];
export type Completion = Schemas["Completion"];
export type Refund = Schemas["Refund"];
/** `order_str` is opaque: hand it to `my.tradePay` as it is. */
export type OrderMade = Schemas["OrderMade"];
export type OrderShown = Schemas["OrderShown"];
export type Accepted = Schemas["Accepted"];
export type Problem = Schemas["Problem"];

/** An answer that says no; or none at all: then `status` is 0, and nobody knows whether anything was done. */
export class OrdersError extends Error {
  readonly status: number;
  readonly problem: Problem | undefined;
}

/** As much of `my.request` as is used. */
export interface Wish {
  url: string;
  method: "GET" | "POST";
  headers: Record<string, string>;
  data?: string;
  dataType: "json";
  timeout: number;
  success(answer: { status?: number; data?: unknown }): void;
  fail(answer: { status?: number; data?: unknown; errorMessage?: string }): void;
}

export interface Settings {
  /** Where paystate's HTTP side is: `https://shop.example`. */
  baseUrl: string;
  headers?: Record<string, string>;
  /** 30,000, as `my.request` has it. */
  timeoutMs?: number;
  /** `my.request`, unless there is another. */
  request?(wish: Wish): void;
}

export interface Once {
  /** The same key with the same request gets the same answer, and does nothing twice. */
  idempotencyKey?: string;
}

export interface Orders {
  create(order: NewOrder, once?: Once): Promise<OrderMade>;
  /** With `orderStr` also its order string, while it is `paying`. */
  get(orderId: string, also?: { orderStr?: boolean }): Promise<OrderShown>;
  cancel(orderId: string, why?: Cancellation, once?: Once): Promise<Accepted>;
  complete(orderId: string, completion: Completion, once?: Once): Promise<Accepted>;
  refund(orderId: string, refund: Refund, once?: Once): Promise<Accepted>;
  /** What `my.tradePay` said. It proves nothing; it only leads to a query. */
  clientResult(orderId: string, resultCode: string | number, once?: Once): Promise<Accepted>;
}

export function orders(settings: Settings): Orders;
