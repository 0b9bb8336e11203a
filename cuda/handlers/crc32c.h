/* SPDX-License-Identifier: Apache-2.0 */
/* The handler `crc32c`: CRC-32C (Castagnoli; RFC 3720 appendix B.4), 4 bytes, most significant first, so that their
 * hex is what people expect: 364b3fb7 for "abc".
 *
 * A CRC is the remainder of the message, read as a polynomial over GF(2), modulo P. It is linear: the remainder of
 * a whole is the XOR of its parts' remainders, each multiplied by x^(8 n) if n bytes follow the part. The single
 * thread uses this nibble by nibble, the warp and the block lane by lane. A nibble's table of 16 words lies in 16
 * different banks, so a warp whose lanes look up different entries is served in one access; a byte's table of 256
 * would not be.
 *
 * Registers hold polynomials bit-reversed, as this CRC is defined: bit 31 is x^0, bit 0 is x^31. */
#ifndef GPUQUEUE_HANDLERS_CRC32C_H
#define GPUQUEUE_HANDLERS_CRC32C_H

#include <gpuqueue/handler.h>

#define GQ_CRC32C_POLYNOMIAL 0x82f63b78u

/* [k][n] is nibble n at bits 4k to 4k + 3, times x^32: 4 bytes further. */
GQ_TABLE uint32_t gq_crc32c_word_table[8][16] = {
  { 0x00000000u, 0xdd45aab8u, 0xbf672381u, 0x62228939u, 0x7b2231f3u, 0xa6679b4bu, 0xc4451272u, 0x1900b8cau,
    0xf64463e6u, 0x2b01c95eu, 0x49234067u, 0x9466eadfu, 0x8d665215u, 0x5023f8adu, 0x32017194u, 0xef44db2cu },
  { 0x00000000u, 0xe964b13du, 0xd725148bu, 0x3e41a5b6u, 0xaba65fe7u, 0x42c2eedau, 0x7c834b6cu, 0x95e7fa51u,
    0x52a0c93fu, 0xbbc47802u, 0x8585ddb4u, 0x6ce16c89u, 0xf90696d8u, 0x106227e5u, 0x2e238253u, 0xc747336eu },
  { 0x00000000u, 0xa541927eu, 0x4f6f520du, 0xea2ec073u, 0x9edea41au, 0x3b9f3664u, 0xd1b1f617u, 0x74f06469u,
    0x38513ec5u, 0x9d10acbbu, 0x773e6cc8u, 0xd27ffeb6u, 0xa68f9adfu, 0x03ce08a1u, 0xe9e0c8d2u, 0x4ca15aacu },
  { 0x00000000u, 0x70a27d8au, 0xe144fb14u, 0x91e6869eu, 0xc76580d9u, 0xb7c7fd53u, 0x26217bcdu, 0x56830647u,
    0x8b277743u, 0xfb850ac9u, 0x6a638c57u, 0x1ac1f1ddu, 0x4c42f79au, 0x3ce08a10u, 0xad060c8eu, 0xdda47104u },
  { 0x00000000u, 0x13a29877u, 0x274530eeu, 0x34e7a899u, 0x4e8a61dcu, 0x5d28f9abu, 0x69cf5132u, 0x7a6dc945u,
    0x9d14c3b8u, 0x8eb65bcfu, 0xba51f356u, 0xa9f36b21u, 0xd39ea264u, 0xc03c3a13u, 0xf4db928au, 0xe7790afdu },
  { 0x00000000u, 0x3fc5f181u, 0x7f8be302u, 0x404e1283u, 0xff17c604u, 0xc0d23785u, 0x809c2506u, 0xbf59d487u,
    0xfbc3faf9u, 0xc4060b78u, 0x844819fbu, 0xbb8de87au, 0x04d43cfdu, 0x3b11cd7cu, 0x7b5fdfffu, 0x449a2e7eu },
  { 0x00000000u, 0xf26b8303u, 0xe13b70f7u, 0x1350f3f4u, 0xc79a971fu, 0x35f1141cu, 0x26a1e7e8u, 0xd4ca64ebu,
    0x8ad958cfu, 0x78b2dbccu, 0x6be22838u, 0x9989ab3bu, 0x4d43cfd0u, 0xbf284cd3u, 0xac78bf27u, 0x5e133c24u },
  { 0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u, 0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
    0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u, 0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u }
};

/* The same, times x^4096: 512 bytes further, which is a warp's tile. */
GQ_TABLE uint32_t gq_crc32c_tile_table[8][16] = {
  { 0x00000000u, 0xbd6f81f8u, 0x7f337501u, 0xc25cf4f9u, 0xfe66ea02u, 0x43096bfau, 0x81559f03u, 0x3c3a1efbu,
    0xf921a2f5u, 0x444e230du, 0x8612d7f4u, 0x3b7d560cu, 0x074748f7u, 0xba28c90fu, 0x78743df6u, 0xc51bbc0eu },
  { 0x00000000u, 0xf7af331bu, 0xeab210c7u, 0x1d1d23dcu, 0xd088577fu, 0x27276464u, 0x3a3a47b8u, 0xcd9574a3u,
    0xa4fcd80fu, 0x5353eb14u, 0x4e4ec8c8u, 0xb9e1fbd3u, 0x74748f70u, 0x83dbbc6bu, 0x9ec69fb7u, 0x6969acacu },
  { 0x00000000u, 0x4c15c6efu, 0x982b8ddeu, 0xd43e4b31u, 0x35bb6d4du, 0x79aeaba2u, 0xad90e093u, 0xe185267cu,
    0x6b76da9au, 0x27631c75u, 0xf35d5744u, 0xbf4891abu, 0x5ecdb7d7u, 0x12d87138u, 0xc6e63a09u, 0x8af3fce6u },
  { 0x00000000u, 0xd6edb534u, 0xa8371c99u, 0x7edaa9adu, 0x55824fc3u, 0x836ffaf7u, 0xfdb5535au, 0x2b58e66eu,
    0xab049f86u, 0x7de92ab2u, 0x0333831fu, 0xd5de362bu, 0xfe86d045u, 0x286b6571u, 0x56b1ccdcu, 0x805c79e8u },
  { 0x00000000u, 0x53e549fdu, 0xa7ca93fau, 0xf42fda07u, 0x4a795105u, 0x199c18f8u, 0xedb3c2ffu, 0xbe568b02u,
    0x94f2a20au, 0xc717ebf7u, 0x333831f0u, 0x60dd780du, 0xde8bf30fu, 0x8d6ebaf2u, 0x794160f5u, 0x2aa42908u },
  { 0x00000000u, 0x2c0932e5u, 0x581265cau, 0x741b572fu, 0xb024cb94u, 0x9c2df971u, 0xe836ae5eu, 0xc43f9cbbu,
    0x65a5e1d9u, 0x49acd33cu, 0x3db78413u, 0x11beb6f6u, 0xd5812a4du, 0xf98818a8u, 0x8d934f87u, 0xa19a7d62u },
  { 0x00000000u, 0xcb4bc3b2u, 0x937bf195u, 0x58303227u, 0x231b95dbu, 0xe8505669u, 0xb060644eu, 0x7b2ba7fcu,
    0x46372bb6u, 0x8d7ce804u, 0xd54cda23u, 0x1e071991u, 0x652cbe6du, 0xae677ddfu, 0xf6574ff8u, 0x3d1c8c4au },
  { 0x00000000u, 0x8c6e576cu, 0x1d30d829u, 0x915e8f45u, 0x3a61b052u, 0xb60fe73eu, 0x2751687bu, 0xab3f3f17u,
    0x74c360a4u, 0xf8ad37c8u, 0x69f3b88du, 0xe59defe1u, 0x4ea2d0f6u, 0xc2cc879au, 0x539208dfu, 0xdffc5fb3u }
};

/* [k] is x^(8 * 2^k) mod P: 2^k bytes further. */
GQ_TABLE uint32_t gq_crc32c_power[32] = {
  0x00800000u, 0x00008000u, 0x82f63b78u, 0x6ea2d55cu, 0x18b8ea18u, 0x510ac59au, 0xb82be955u, 0xb8fdb1e7u,
  0x88e56f72u, 0x74c360a4u, 0xe4172b16u, 0x0d65762au, 0x35d73a62u, 0x28461564u, 0xbf455269u, 0xe2ea32dcu,
  0xfe7740e6u, 0xf946610bu, 0x3c204f8fu, 0x538586e3u, 0x59726915u, 0x734d5309u, 0xbc1ac763u, 0x7d0722ccu,
  0xd289cabeu, 0xe94ca9bcu, 0x05b74f3fu, 0xa51e1f42u, 0x40000000u, 0x20000000u, 0x08000000u, 0x00800000u
};

/* Multiply by the power of x that \p table is made for. */
GQ_DEVICE uint32_t gq_crc32c_times(const uint32_t (*table)[16], uint32_t crc)
{
  return table[0][crc & 15] ^ table[1][crc >> 4 & 15] ^ table[2][crc >> 8 & 15] ^ table[3][crc >> 12 & 15]
       ^ table[4][crc >> 16 & 15] ^ table[5][crc >> 20 & 15] ^ table[6][crc >> 24 & 15] ^ table[7][crc >> 28];
}

/* Multiply any two polynomials. */
GQ_DEVICE uint32_t gq_crc32c_multiply(uint32_t a, uint32_t b)
{
  uint32_t product = 0;
  int bit;
  for (bit = 0; bit < 32; bit++) {
    product ^= b & (0u - (a >> 31));
    a <<= 1;
    b = (b >> 1) ^ (GQ_CRC32C_POLYNOMIAL & (0u - (b & 1)));
  }
  return product;
}

/* What \p crc becomes when \p bytes zero bytes follow: square and multiply, with the squares in a table. */
GQ_DEVICE uint32_t gq_crc32c_shift(uint32_t crc, uint32_t bytes)
{
  int k;
  for (k = 0; bytes != 0; k++, bytes >>= 1)
    if (bytes & 1) crc = gq_crc32c_multiply(crc, gq_crc32c_power[k]);
  return crc;
}

/* The four words of quad \p index, as a little-endian machine reads them. */
GQ_DEVICE void gq_crc32c_load_quad(const uint8_t *data, uint32_t index, uint32_t *quad)
{
#if defined(__CUDA_ARCH__)
  const uint4 words = ((const uint4 *)data)[index];
  quad[0] = words.x, quad[1] = words.y, quad[2] = words.z, quad[3] = words.w;
#else
  int i;
  __builtin_memcpy(quad, data + (uint64_t)index * 16, 16);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  for (i = 0; i < 4; i++) quad[i] = __builtin_bswap32(quad[i]);
#else
  (void)i;
#endif
#endif
}

/* Go on from \p crc over quad \p index of the message. */
GQ_DEVICE uint32_t gq_crc32c_quad(const uint8_t *data, uint32_t index, uint32_t crc)
{
  uint32_t quad[4];
  gq_crc32c_load_quad(data, index, quad);
  crc = gq_crc32c_times(gq_crc32c_word_table, crc ^ quad[0]);
  crc = gq_crc32c_times(gq_crc32c_word_table, crc ^ quad[1]);
  crc = gq_crc32c_times(gq_crc32c_word_table, crc ^ quad[2]);
  return gq_crc32c_times(gq_crc32c_word_table, crc ^ quad[3]);
}

/* Go on from \p crc over the bytes behind the message's last whole quad. Table 7 of the words moves a nibble on by
 * the 4 bits of its own length, as it starts in the last 4. */
GQ_DEVICE uint32_t gq_crc32c_tail(const gq_msg *msg, uint32_t crc)
{
  uint32_t i;
  for (i = msg->size & ~15u; i < msg->size; i++) {
    crc ^= msg->data[i];
    crc = (crc >> 4) ^ gq_crc32c_word_table[7][crc & 15];
    crc = (crc >> 4) ^ gq_crc32c_word_table[7][crc & 15];
  }
  return crc;
}

/* What one lane of one warp adds to the remainder of the message's whole quads; the XOR over all lanes of all warps
 * is that remainder. A tile is one quad per lane, so that a warp reads 512 bytes in one piece; tiles end where the
 * quads end, so that only the first can be short, and leading zeros do not change a remainder. Each warp takes a
 * run of tiles. */
GQ_DEVICE uint32_t gq_crc32c_lane(const gq_msg *msg, uint32_t lane, uint32_t warp, uint32_t warps)
{
  const uint32_t quads = msg->size / 16, tiles = (quads + 31) / 32, padding = tiles * 32 - quads;
  const uint32_t end = tiles * (warp + 1) / warps;
  uint32_t tile = tiles * warp / warps, crc = 0, slot;
  if (tile == end) return 0;
  for (; tile < end; tile++) {
    slot = tile * 32 + lane;
    crc = gq_crc32c_times(gq_crc32c_tile_table, crc);
    /* A CRC starts from all ones, which is the same as inverting the first four bytes. */
    if (slot >= padding) crc ^= gq_crc32c_quad(msg->data, slot - padding, slot == padding ? ~0u : 0u);
  }
  return gq_crc32c_shift(crc, ((tiles - end) * 32 + 31 - lane) * 16);
}

/* The remainder of the whole quads, by all threads of the message; rank 0 gets it. */
GQ_DEVICE uint32_t gq_crc32c_quads(const gq_msg *msg, const gq_context *ctx)
{
#if defined(__CUDA_ARCH__)
  if (ctx->ranks > 1) {
    const uint32_t lane = ctx->rank & 31, warp = ctx->rank >> 5, warps = ctx->ranks >> 5;
    uint32_t crc = gq_crc32c_lane(msg, lane, warp, warps), i;
    for (i = 16; i > 0; i >>= 1) crc ^= __shfl_xor_sync(0xffffffffu, crc, i);
    if (warps > 1) {
      __shared__ uint32_t of_warp[32];
      if (lane == 0) of_warp[warp] = crc;
      gq_sync(ctx);
      if (ctx->rank == 0)
        for (i = 1; i < warps; i++) crc ^= of_warp[i];
      gq_sync(ctx); /* the next message must not overwrite of_warp before rank 0 has read it */
    }
    return msg->size < 16 ? ~0u : crc;
  }
#endif
  {
    const uint32_t quads = msg->size / 16;
    uint32_t crc = ~0u, index;
    (void)ctx;
    for (index = 0; index < quads; index++) crc = gq_crc32c_quad(msg->data, index, crc);
    return crc;
  }
}

GQ_HANDLER(crc32c, GQ_NO_ARGS,
  GQ_SUMMARY("CRC-32C (Castagnoli) of the message")
  GQ_SCOPES(thread, warp, block)
  GQ_OUTPUT(hex)
  GQ_RESULT(0, 4)
  GQ_SHORT
  GQ_EXAMPLE("gpuqueue run --handler crc32c --input-format files *.bin"))
{
  uint32_t crc;
  reply->size = 4;
  if (reply->capacity < 4) return 0;
  crc = gq_crc32c_quads(msg, ctx);
  if (gq_rank(ctx) == 0) {
    crc = ~gq_crc32c_tail(msg, crc);
#if defined(__CUDA_ARCH__)
    *(uint32_t *)reply->data = __byte_perm(crc, 0, 0x0123); /* one store: it may be to memory that is a bus away */
#else
    uint8_t *const to = reply->data; /* in a variable, or each byte might change it: this, too, is to be one store */
    to[0] = (uint8_t)(crc >> 24), to[1] = (uint8_t)(crc >> 16), to[2] = (uint8_t)(crc >> 8), to[3] = (uint8_t)crc;
#endif
  }
  return 0;
}

#endif
