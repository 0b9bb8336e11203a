/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts whose balances are the queue's state: the handler of accounts.c. A message is an account's number and an
 * amount, 8 bytes each, little-endian; the result is the new balance. Messages of the same account must have the same
 * key: then one is handled after the other and sees what that one wrote, and no atomic operation is needed.
 *
 * Code 1: not 16 bytes, or no such account. Code 2: the balance would fall below zero; it stays. */
#include <gpuqueue/handler.h>

GQ_HANDLER(balance, GQ_NO_ARGS,
  GQ_SUMMARY("add an amount to an account in the state (code 1: no such account; 2: not enough money)")
  GQ_SCOPES(thread)
  GQ_OUTPUT(hex)
  GQ_RESULT(0, 8)
  GQ_SHORT
  GQ_STATE_OPTIONAL
  GQ_STATE_BYTES(512)
  GQ_EXAMPLE("gpuqueue run --handler ./balance.c --state-bytes 1M --input-format fixed:16 transactions"))
{
  int64_t *balances = (int64_t *)ctx->state, balance;
  uint64_t account;

  if (msg->size != 16) return 1;
  account = gq_load_aligned_u64_le(msg->data);
  if (account >= ctx->state_bytes / 8) return 1;
  balance = balances[account] + (int64_t)gq_load_aligned_u64_le(msg->data + 8);
  if (balance < 0) return 2;
  balances[account] = balance;
  reply->size = 8;
  if (reply->capacity >= 8) gq_store_u64_le(reply->data, (uint64_t)balance);
  return 0;
}
