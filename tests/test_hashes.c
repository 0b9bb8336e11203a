/* SPDX-License-Identifier: Apache-2.0 */
/* The hashes that ship give what the published vectors and other people's libraries say: for every size from 0 to past
 * the inline limit, for large ones, in every scope. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digest_vectors.h"
#include "shipped.h"

/* The bytes of a text of hex digits; \return how many. */
static size_t from_hex(const char *hex, uint8_t *bytes)
{
  size_t i, size = strlen(hex) / 2;
  for (i = 0; i < size; i++) {
    unsigned byte;
    ck_assert_int_eq(sscanf(hex + 2 * i, "%2x", &byte), 1);
    bytes[i] = (uint8_t)byte;
  }
  return size;
}

static void send_hex(shipped *test, const void *data, size_t size, const char *expected)
{
  uint8_t digest[64];
  const size_t bytes = from_hex(expected, digest);
  shipped_send(test, data, size, digest, bytes);
}

/* The stream of digest_vectors.py. */
static uint8_t *vector_input(size_t size)
{
  uint8_t *bytes = malloc(size);
  uint32_t x = 0x12345678u;
  size_t i;
  ck_assert_ptr_nonnull(bytes);
  for (i = 0; i < size; i++) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    bytes[i] = (uint8_t)(x >> 24);
  }
  return bytes;
}

/* The first 4 bytes of each size's digest, then whole digests of large messages. */
static void check_sizes(const char *handler, uint32_t scope, const char *const *args, const uint32_t *of_size,
                        const char *const *of_large)
{
  uint8_t *data = vector_input(large_size[LARGE_SIZES - 1]), digest[64];
  shipped test;
  size_t i;
  shipped_open(&test, handler, scope, args);
  for (i = 0; i <= 600; i++) {
    const size_t size = shipped_call(&test, data, i, digest, sizeof digest);
    const uint32_t start = (uint32_t)digest[0] << 24 | (uint32_t)digest[1] << 16 | (uint32_t)digest[2] << 8 | digest[3];
    ck_assert_uint_eq(size, strlen(of_large[0]) / 2);
    ck_assert_msg(start == of_size[i], "%s of %zu bytes begins with %08x, not %08x", handler, i, start, of_size[i]);
  }
  for (i = 0; i < LARGE_SIZES; i++) send_hex(&test, data, large_size[i], of_large[i]);
  shipped_close(&test);
  free(data);
}

START_TEST(xxh64_gives_the_published_answers)
{
  /* From xxHash's own sanity check: its input, without a seed and with the seed 2654435761. */
  static const struct { size_t size; const char *plain, *seeded; } vectors[] = {
    { 0, "ef46db3751d8e999", "ac75fda2929b17ef" }, { 1, "e934a84adb052768", "5014607643a9b4c3" },
    { 4, "9136a0dca57457ee", "caab286bd8e9fdb5" }, { 14, "8282dcc4994e35c8", "c3bd6bf63deb6df0" },
    { 222, "b641ae8cb691c174", "20cb8ab7ae10c14a" },
  };
  static const char *const seed[] = { "seed=2654435761", NULL };
  uint64_t generator = 2654435761u;
  uint8_t data[222];
  shipped plain, seeded;
  size_t i;
  for (i = 0; i < sizeof data; i++, generator *= UINT64_C(11400714785074694797)) data[i] = (uint8_t)(generator >> 56);
  shipped_open(&plain, "xxh64", GQ_SCOPE_AUTO, NULL);
  for (i = 0; i < SUITE_COUNT(vectors); i++) send_hex(&plain, data, vectors[i].size, vectors[i].plain);
  shipped_close(&plain);
  shipped_open(&seeded, "xxh64", GQ_SCOPE_AUTO, seed);
  for (i = 0; i < SUITE_COUNT(vectors); i++) send_hex(&seeded, data, vectors[i].size, vectors[i].seeded);
  shipped_close(&seeded);
}
END_TEST

START_TEST(xxh64_is_right_for_every_size)
{
  static const char *const seed[] = { "seed=2654435761", NULL };
  check_sizes("xxh64", GQ_SCOPE_THREAD, NULL, xxh64_of_size, xxh64_of_large);
  check_sizes("xxh64", GQ_SCOPE_THREAD, seed, xxh64_seeded_of_size, xxh64_seeded_of_large);
}
END_TEST

START_TEST(sha512_gives_the_published_answers)
{
  /* The examples of FIPS 180-4's companion "SHA512.pdf", and a million times "a". */
  static const char two_blocks[] = "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                                   "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
  uint8_t *many = malloc(1000000);
  shipped test;
  ck_assert_ptr_nonnull(many);
  memset(many, 'a', 1000000);
  shipped_open(&test, "sha512", GQ_SCOPE_AUTO, NULL);
  send_hex(&test, "", 0, "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce"
                         "47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e");
  send_hex(&test, "abc", 3, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  send_hex(&test, two_blocks, 112, "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018"
                                   "501d289e4900f7e4331b99dec4b5433ac7d329eeb6dd26545e96e55b874be909");
  send_hex(&test, many, 1000000, "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973eb"
                                 "de0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b");
  shipped_close(&test);
  free(many);
}
END_TEST

START_TEST(sha512_is_right_for_every_size)
{
  check_sizes("sha512", GQ_SCOPE_THREAD, NULL, sha512_of_size, sha512_of_large);
}
END_TEST

/* From test_vectors.json of the BLAKE3 repository, whose input is 0 to 250 over and over: both sides of every place
 * where the tree changes. */
static const struct { size_t size; const char *digest; } blake3_vectors[] = {
  { 0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262" },
  { 1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213" },
  { 2, "7b7015bb92cf0b318037702a6cdd81dee41224f734684c2c122cd6359cb1ee63" },
  { 3, "e1be4d7a8ab5560aa4199eea339849ba8e293d55ca0a81006726d184519e647f" },
  { 4, "f30f5ab28fe047904037f77b6da4fea1e27241c5d132638d8bedce9d40494f32" },
  { 5, "b40b44dfd97e7a84a996a91af8b85188c66c126940ba7aad2e7ae6b385402aa2" },
  { 6, "06c4e8ffb6872fad96f9aaca5eee1553eb62aed0ad7198cef42e87f6a616c844" },
  { 7, "3f8770f387faad08faa9d8414e9f449ac68e6ff0417f673f602a646a891419fe" },
  { 8, "2351207d04fc16ade43ccab08600939c7c1fa70a5c0aaca76063d04c3228eaeb" },
  { 63, "e9bc37a594daad83be9470df7f7b3798297c3d834ce80ba85d6e207627b7db7b" },
  { 64, "4eed7141ea4a5cd4b788606bd23f46e212af9cacebacdc7d1f4c6dc7f2511b98" },
  { 65, "de1e5fa0be70df6d2be8fffd0e99ceaa8eb6e8c93a63f2d8d1c30ecb6b263dee" },
  { 127, "d81293fda863f008c09e92fc382a81f5a0b4a1251cba1634016a0f86a6bd640d" },
  { 128, "f17e570564b26578c33bb7f44643f539624b05df1a76c81f30acd548c44b45ef" },
  { 129, "683aaae9f3c5ba37eaaf072aed0f9e30bac0865137bae68b1fde4ca2aebdcb12" },
  { 1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11" },
  { 1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7" },
  { 1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444" },
  { 2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a" },
  { 2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030" },
  { 3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2" },
  { 3073, "7124b49501012f81cc7f11ca069ec9226cecb8a2c850cfe644e327d22d3e1cd3" },
  { 4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969" },
  { 4097, "9b4052b38f1c5fc8b1f9ff7ac7b27cd242487b3d890d15c96a1c25b8aa0fb995" },
  { 5120, "9cadc15fed8b5d854562b26a9536d9707cadeda9b143978f319ab34230535833" },
  { 5121, "628bd2cb2004694adaab7bbd778a25df25c47b9d4155a55f8fbd79f2fe154cff" },
  { 6144, "3e2e5b74e048f3add6d21faab3f83aa44d3b2278afb83b80b3c35164ebeca205" },
  { 6145, "f1323a8631446cc50536a9f705ee5cb619424d46887f3c376c695b70e0f0507f" },
  { 7168, "61da957ec2499a95d6b8023e2b0e604ec7f6b50e80a9678b89d2628e99ada77a" },
  { 7169, "a003fc7a51754a9b3c7fae0367ab3d782dccf28855a03d435f8cfe74605e7817" },
  { 8192, "aae792484c8efe4f19e2ca7d371d8c467ffb10748d8a5a1ae579948f718a2a63" },
  { 8193, "bab6c09cb8ce8cf459261398d2e7aef35700bf488116ceb94a36d0f5f1b7bc3b" },
  { 16384, "f875d6646de28985646f34ee13be9a576fd515f76b5b0a26bb324735041ddde4" },
  { 31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47" },
  { 102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085" },
};

START_TEST(blake3_gives_the_published_answers_in_each_scope)
{
  static const uint32_t scopes[] = { GQ_SCOPE_THREAD, GQ_SCOPE_BLOCK };
  static uint8_t data[102400];
  size_t i, s;
  for (i = 0; i < sizeof data; i++) data[i] = (uint8_t)(i % 251);
  for (s = 0; s < SUITE_COUNT(scopes); s++) {
    shipped test;
    shipped_open(&test, "blake3", scopes[s], NULL);
    for (i = 0; i < SUITE_COUNT(blake3_vectors); i++)
      send_hex(&test, data, blake3_vectors[i].size, blake3_vectors[i].digest);
    shipped_close(&test);
  }
}
END_TEST

START_TEST(blake3_is_right_for_every_size_in_each_scope)
{
  check_sizes("blake3", GQ_SCOPE_THREAD, NULL, blake3_of_size, blake3_of_large);
  check_sizes("blake3", GQ_SCOPE_BLOCK, NULL, blake3_of_size, blake3_of_large);
}
END_TEST

int main(void)
{
  static const suite_test tests[] = {
    SUITE_TEST(xxh64_gives_the_published_answers),
    SUITE_TEST(xxh64_is_right_for_every_size),
    SUITE_TEST(sha512_gives_the_published_answers),
    SUITE_TEST(sha512_is_right_for_every_size),
    SUITE_TEST(blake3_gives_the_published_answers_in_each_scope),
    SUITE_TEST(blake3_is_right_for_every_size_in_each_scope),
  };
  return suite_main("test_hashes", tests, SUITE_COUNT(tests));
}
