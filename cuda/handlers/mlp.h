/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `mlp`: a multilayer perceptron. The message is the vector of inputs, the result that of outputs, both
 * float32, little-endian. Each layer computes x W + b; between layers, what is negative becomes 0 (ReLU).
 *
 * The state holds the weights, little-endian, with nothing between the parts:
 *
 *     4 bytes            "GQNN"
 *     uint32             1, the version of this format
 *     uint32             L, the number of layers, 1 to 16
 *     uint32 x (L + 1)   the widths: inputs, hidden layers, outputs; inputs 1 to 65536, the others 1 to 1024
 *     for each layer     float32 W[inputs of the layer][outputs of the layer], then float32 b[outputs of the layer]
 *
 * numpy writes it so, with W1 of shape (inputs, hidden), as in x @ W1 + b1 (torch.nn.Linear keeps its transpose):
 *
 *     head = b"GQNN" + np.array([1, 2, *W1.shape, W2.shape[1]], "<u4").tobytes()
 *     open("weights", "wb").write(head + b"".join(a.astype("<f4").tobytes() for a in (W1, b1, W2, b2)))
 *
 * Every sum begins with the bias and takes the inputs in order, by fused multiply-adds, whoever runs it: results are
 * the same, bit for bit, in every scope and on every backend.
 *
 * The result may have 4096 bytes, and room is kept for so many unless the option `max_result_bytes` says that the
 * weights at hand give fewer.
 *
 * Init fails with code 1 if the state does not begin with GQNN, 2 for another version, 3 for a number of layers or a
 * width out of range, 4 if the state is not as long as the widths say. A message fails with code 1 if it is not as
 * long as the inputs are. */
#ifndef GPUQUEUE_HANDLERS_MLP_H
#define GPUQUEUE_HANDLERS_MLP_H

#include <gpuqueue/handler.h>

#define MLP_MOST_LAYERS 16
#define MLP_MOST_INPUTS 65536
#define MLP_MOST_OUTPUTS 1024 /* of a layer */
#define MLP_TILE 4            /* outputs that a thread sums up side by side: each input is read once for all of them */

/* out = in W + b, in threads of which each takes every ranks-th output, so that together they read whole lines of W. */
GQ_DEVICE void mlp_layer(const gq_context *ctx, const float *weights, const float *in, uint32_t inputs, float *out,
                         uint32_t outputs, int is_hidden)
{
  const float *bias = weights + (uint64_t)inputs * outputs;
  const uint32_t ranks = gq_ranks(ctx);
  uint32_t first, i, j;

  for (first = gq_rank(ctx); first < outputs; first += ranks * MLP_TILE) {
    /* What is past the last output is summed up as the last one and not kept: the loop inside has no condition. */
    uint32_t column[MLP_TILE];
    float sum[MLP_TILE];
    for (j = 0; j < MLP_TILE; j++) {
      column[j] = first + j * ranks < outputs ? first + j * ranks : outputs - 1;
      sum[j] = bias[column[j]];
    }
    for (i = 0; i < inputs; i++) {
      const float *row = weights + (uint64_t)i * outputs;
      const float x = in[i];
      for (j = 0; j < MLP_TILE; j++) sum[j] = fmaf(x, row[column[j]], sum[j]);
    }
    for (j = 0; j < MLP_TILE; j++)
      if (first + j * ranks < outputs) out[column[j]] = is_hidden && sum[j] < 0 ? 0 : sum[j];
  }
}

GQ_HANDLER(mlp, GQ_NO_ARGS,
  GQ_SUMMARY("a multilayer perceptron on float32, weights in the state (code 1: not as many inputs)")
  GQ_SCOPES(warp, thread, block)
  GQ_OUTPUT(raw)
  GQ_RESULT(0, 4096)
  GQ_STATE_REQUIRED
  GQ_SHARED(8192) /* two vectors of MLP_MOST_OUTPUTS: what a layer reads and what it writes */
  GQ_EXAMPLE("gpuqueue run --handler mlp --state weights --input-format fixed:3136 images"))
{
  const uint32_t *head = (const uint32_t *)ctx->state, *widths = head + 3;
  const uint32_t layers = head[2];
  const float *weights = (const float *)(widths + layers + 1), *in = (const float *)msg->data;
  uint32_t layer;

  if (msg->size != widths[0] * 4) return 1;
  reply->size = widths[layers] * 4;
  if (reply->capacity < reply->size) return 0;
  for (layer = 0; layer < layers; layer++) {
    const int is_last = layer == layers - 1;
    float *out = is_last ? (float *)reply->data : (float *)ctx->shared + layer % 2 * MLP_MOST_OUTPUTS;
    mlp_layer(ctx, weights, in, widths[layer], out, widths[layer + 1], !is_last);
    gq_sync(ctx); /* the next layer reads what all threads wrote */
    in = out;
    weights += (uint64_t)(widths[layer] + 1) * widths[layer + 1];
  }
  return 0;
}

GQ_INIT(mlp)
{
  const uint32_t *head = (const uint32_t *)ctx->state;
  uint64_t bytes;
  uint32_t layers, i;

  if (ctx->state_bytes < 20 || head[0] != 0x4e4e5147u /* GQNN */) return 1;
  if (head[1] != 1) return 2;
  layers = head[2];
  if (layers < 1 || layers > MLP_MOST_LAYERS) return 3;
  bytes = 16 + (uint64_t)layers * 4;
  if (ctx->state_bytes < bytes) return 4;
  for (i = 0; i <= layers; i++) {
    const uint32_t width = head[3 + i];
    if (width < 1 || width > (i == 0 ? MLP_MOST_INPUTS : MLP_MOST_OUTPUTS)) return 3;
    if (i > 0) bytes += ((uint64_t)head[2 + i] + 1) * width * 4;
  }
  return bytes == ctx->state_bytes ? 0 : 4;
}

#endif
