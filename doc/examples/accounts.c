/* SPDX-License-Identifier: Apache-2.0 */
/* Several producer threads, a lane for each; messages of one key in order; and a consumer that sleeps in poll(2) on the
 * lanes' event descriptors. The handler (balance.c) keeps the balances of accounts in the queue's state, where messages
 * change them: a deposit or a withdrawal gives the new balance, or fails where the money does not suffice.
 *
 * The account is the key of its messages, and each account belongs to one producer: keys order the messages of a lane.
 * So every result can be compared with what plain C gets, one transaction after the other.
 *
 *     cc -O2 -pthread -o accounts accounts.c balance.c $(pkg-config --cflags --libs gpuqueue)
 *     ./accounts                             # on the CPU
 *     ./accounts balance.c                   # the same source, compiled for the GPU if there is one */
#include <gpuqueue/gpuqueue.h>
#include <gpuqueue/handler.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PRODUCERS 3
#define ACCOUNTS 64 /* of each producer */
#define TRANSACTIONS 20000
#define TIMEOUT_NS 10000000000
#define TIMEOUT_MS 10000

extern const gq_linked_handler gq_linked_balance;

/* What the handler takes: 16 bytes, as they lie in memory. */
typedef struct transaction { uint64_t account; int64_t amount; } transaction;

typedef struct producer {
  gq_queue *lane;
  uint64_t number;              /* 0 .. PRODUCERS - 1 */
  gq_status status;             /* of the thread */
  char error[256];              /* its text: gq_last_error() is a thread's own */
  unsigned taken;               /* completions that have come */
  int64_t balance[ACCOUNTS];    /* what plain C makes of the transactions, as the completions come */
} producer;

/* Transaction `n` of a producer, any that can be made again. Some withdraw what is not there. */
static transaction make(const producer *p, uint64_t n)
{
  const uint64_t mixed = (n + 1) * 0x9e3779b97f4a7c15u ^ p->number << 32;
  const transaction t = {p->number * ACCOUNTS + (mixed >> 40) % ACCOUNTS, (int64_t)(mixed >> 20 & 1023) - 480};

  return t;
}

static void *produce(void *argument)
{
  producer *p = argument;

  for (uint64_t n = 0; n < TRANSACTIONS && p->status == GQ_OK; n++) {
    const transaction t = make(p, n);
    gq_message message;
    uint64_t id;

    memset(&message, 0, sizeof message);
    message.data = &t;
    message.size = sizeof t;
    message.key = t.account + 1; /* 0 would mean: no key */
    message.tag = n;
    p->status = gq_enqueue(p->lane, &message, TIMEOUT_NS, &id); /* waits while the lane is full */
  }
  if (p->status != GQ_OK) snprintf(p->error, sizeof p->error, "%s", gq_last_error());
  return NULL;
}

/* Compare a completion with the same transaction in plain C. Messages of different keys may overtake each other, but
 * each account's come in order, so its balance is known. \return 1 if it is wrong. */
static unsigned judge(producer *p, const gq_completion *c)
{
  const transaction t = make(p, c->tag);
  int64_t *balance = &p->balance[t.account % ACCOUNTS], got = 0;

  p->taken++;
  if (*balance + t.amount < 0) {
    if (c->status == GQ_FAILED && c->code == 2) return 0;
  } else {
    *balance += t.amount;
    if (c->status == GQ_OK && c->size == sizeof got) {
      memcpy(&got, c->data, sizeof got);
      if (got == *balance) return 0;
    }
  }
  fprintf(stderr, "account %llu: %s, code %d, balance %lld; it should be %lld\n", (unsigned long long)t.account,
          gq_status_name(c->status), (int)c->code, (long long)got, (long long)*balance);
  return 1;
}

/* Take all that has arrived on one lane. */
static gq_status take(producer *p, int descriptor, unsigned *wrong)
{
  gq_completion completions[64];
  uint64_t signals;
  gq_status status;
  size_t count;

  /* First read the descriptor, then poll until there is nothing: what comes in between makes it readable again. */
  if (read(descriptor, &signals, sizeof signals) != (ssize_t)sizeof signals) return GQ_OK;
  while ((status = gq_poll(p->lane, completions, 64, &count)) == GQ_OK) {
    for (size_t i = 0; i < count; i++) *wrong += judge(p, &completions[i]);
    gq_release(p->lane, completions, count);
  }
  return status == GQ_AGAIN ? GQ_OK : status;
}

static gq_status consume(producer *producers, unsigned *wrong)
{
  struct pollfd watched[PRODUCERS];
  gq_status status = GQ_OK;

  for (int i = 0; i < PRODUCERS; i++) {
    watched[i].fd = gq_event_fd(producers[i].lane);
    watched[i].events = POLLIN;
    if (watched[i].fd < 0) return GQ_SYSTEM;
  }
  for (unsigned taken = 0; status == GQ_OK && taken < PRODUCERS * TRANSACTIONS;) {
    const int ready = poll(watched, PRODUCERS, TIMEOUT_MS);

    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0) {
      fprintf(stderr, "accounts: poll: %s\n", ready < 0 ? strerror(errno) : "nothing has come for 10 s");
      return GQ_TIMEOUT;
    }
    for (int i = 0; i < PRODUCERS && status == GQ_OK; i++)
      if (watched[i].revents) status = take(&producers[i], watched[i].fd, wrong);
    taken = 0;
    for (int i = 0; i < PRODUCERS; i++) taken += producers[i].taken;
  }
  return status;
}

/* Start the producers, consume, and wait for them. */
static gq_status run(producer *producers, unsigned *wrong)
{
  pthread_t threads[PRODUCERS];
  gq_status status = GQ_OK;
  int started = 0;

  while (started < PRODUCERS && pthread_create(&threads[started], NULL, produce, &producers[started]) == 0) started++;
  if (started == PRODUCERS) status = consume(producers, wrong);
  else status = GQ_SYSTEM, fprintf(stderr, "accounts: no thread could be started\n");
  if (status != GQ_OK) gq_close(producers[0].lane); /* lets producers that wait for room leave */
  for (int i = 0; i < started; i++) {
    pthread_join(threads[i], NULL);
    if (producers[i].status == GQ_OK) continue;
    fprintf(stderr, "accounts: producer %d: %s: %s\n", i, gq_status_name(producers[i].status), producers[i].error);
    status = producers[i].status;
  }
  return status;
}

int main(int argc, char **argv)
{
  static producer producers[PRODUCERS];
  gq_queue *queue = NULL;
  gq_options options;
  gq_status status = gq_options_init(&options);
  unsigned wrong = 0;

  if (argc > 2) {
    fprintf(stderr, "usage: %s [balance.c]\n", argv[0]);
    return 2;
  }
  if (status != GQ_OK) goto failed;
  options.lanes = PRODUCERS;
  options.state_bytes = PRODUCERS * ACCOUNTS * sizeof(int64_t); /* zeros, for no state is given */
  if (argc > 1) {
    options.handler = argv[1];
  } else {
    options.handler_linked = &gq_linked_balance;
    options.backend = GQ_BACKEND_CPU;
  }
  status = gq_init(&queue, &options);
  for (int i = 0; status == GQ_OK && i < PRODUCERS; i++) {
    producers[i].number = (uint64_t)i;
    producers[i].lane = queue; /* the first handle has a lane too */
    if (i > 0) status = gq_open_lane(queue, &producers[i].lane);
  }
  if (status != GQ_OK) goto failed;
  printf("%s\n", gq_describe(queue));
  status = run(producers, &wrong);
  if (status != GQ_OK) goto failed;
  printf("%d transactions, %u of them wrong\n", PRODUCERS * TRANSACTIONS, wrong);
  return gq_shutdown(queue, TIMEOUT_NS) != GQ_OK || wrong > 0; /* ends the other handles too */
failed:
  fprintf(stderr, "accounts: %s: %s\n", gq_status_name(status), gq_last_error());
  gq_shutdown(queue, 0);
  return 1;
}
