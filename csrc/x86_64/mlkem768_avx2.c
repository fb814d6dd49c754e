/* SPDX-License-Identifier: Apache-2.0 */
/* ML-KEM's polynomials by AVX2, sixteen coefficients in a vector, beneath mlkem768.c. FIPS 203, 4.2 and 4.3; products are reduced as in
 * mlkem768_poly.c, with the high and the low half of each in a vector of its own.
 *
 * Vector r holds coefficients 16r to 16r + 15 for the first four layers of the transform, whose butterflies are between whole vectors. What is left
 * are sixteen transforms of sixteen coefficients: the matrix is transposed, so that lane j of vector r holds coefficient 16j + r, and the last three
 * layers are between whole vectors again. That is the order of transformed polynomials here; `order` transposes, which is its own inverse. */
#include "../internal.h"

#if defined(TF_X86_64)
#include <immintrin.h>

#include "../mlkem768_table.h"

#define AVX2 TF_TARGET("avx2,popcnt") /* every processor with AVX2 has POPCNT */

enum {
    Q = TF_MLKEM_Q,
    Q_INVERSE = -3327, /* q^-1 modulo 2^16 */
    BARRETT = 20159,   /* round(2^26 / q) */
    BACK = 1441        /* 2^32 / 128 modulo q */
};

TF_INLINE AVX2 __m256i load(const tf_mlkem_poly *p, size_t vector)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)(p->c + 16 * vector));
}

TF_INLINE AVX2 void store(tf_mlkem_poly *p, size_t vector, __m256i x)
{
    _mm256_storeu_si256((__m256i *)(void *)(p->c + 16 * vector), x);
}

/* ---- Arithmetic ---- */

/* a b 2^-16 modulo q, at most |a b| / 2^16 + q / 2; b_inverse is b q^-1 modulo 2^16. */
TF_INLINE AVX2 __m256i product_with(__m256i a, __m256i b, __m256i b_inverse)
{
    __m256i t = _mm256_mulhi_epi16(_mm256_mullo_epi16(a, b_inverse), _mm256_set1_epi16(Q));
    return _mm256_sub_epi16(_mm256_mulhi_epi16(a, b), t);
}

TF_INLINE AVX2 __m256i times_inverse(__m256i b)
{
    return _mm256_mullo_epi16(b, _mm256_set1_epi16(Q_INVERSE));
}

TF_INLINE AVX2 __m256i product(__m256i a, __m256i b)
{
    return product_with(a, b, times_inverse(b));
}

/* Any a to |result| <= q / 2 + 4: a less q times a / q, rounded after a first floor to 2^-10. */
TF_INLINE AVX2 __m256i centre(__m256i a)
{
    __m256i t = _mm256_mulhrs_epi16(_mm256_mulhi_epi16(a, _mm256_set1_epi16(BARRETT)), _mm256_set1_epi16(32));
    return _mm256_sub_epi16(a, _mm256_mullo_epi16(t, _mm256_set1_epi16(Q)));
}

/* To 0..q-1. */
TF_INLINE AVX2 __m256i canonical(__m256i a)
{
    a = centre(a);
    return _mm256_add_epi16(a, _mm256_and_si256(_mm256_srai_epi16(a, 15), _mm256_set1_epi16(Q)));
}

/* FIPS 203, algorithm 9, line 8 to 10. */
TF_INLINE AVX2 void butterfly(__m256i *a, __m256i *b, __m256i zeta, __m256i zeta_inverse)
{
    __m256i t = product_with(*b, zeta, zeta_inverse);
    *b = _mm256_sub_epi16(*a, t);
    *a = _mm256_add_epi16(*a, t);
}

/* Algorithm 10, line 6 to 8. */
TF_INLINE AVX2 void butterfly_back(__m256i *a, __m256i *b, __m256i zeta, __m256i zeta_inverse)
{
    __m256i t = _mm256_sub_epi16(*b, *a);
    *a = _mm256_add_epi16(*a, *b);
    *b = product_with(t, zeta, zeta_inverse);
}

TF_INLINE AVX2 __m256i zeta_of(size_t k)
{
    return _mm256_set1_epi16(zetas[k]);
}

TF_INLINE AVX2 __m256i zeta_row(size_t row)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)zeta_lanes[row]);
}

/* Two layers on four vectors `step` apart: first the halves, by a; then the quarters, by b and c. */
TF_INLINE AVX2 void two_layers(tf_mlkem_poly *p, size_t first, size_t step, __m256i a, __m256i b, __m256i c)
{
    const __m256i a_inverse = times_inverse(a), b_inverse = times_inverse(b), c_inverse = times_inverse(c);
    __m256i v0 = load(p, first), v1 = load(p, first + step), v2 = load(p, first + 2 * step), v3 = load(p, first + 3 * step);
    butterfly(&v0, &v2, a, a_inverse);
    butterfly(&v1, &v3, a, a_inverse);
    butterfly(&v0, &v1, b, b_inverse);
    butterfly(&v2, &v3, c, c_inverse);
    store(p, first, v0);
    store(p, first + step, v1);
    store(p, first + 2 * step, v2);
    store(p, first + 3 * step, v3);
}

/* Eight rows of sixteen to columns 0..7 (low halves) and 8..15 (high halves), each of these eight rows. */
TF_INLINE AVX2 void transpose_eight(__m256i column[8], const tf_mlkem_poly *p, size_t first)
{
    __m256i pair[8], four[8];
    for (size_t i = 0; i < 4; i++) {
        __m256i even = load(p, first + 2 * i), odd = load(p, first + 2 * i + 1);
        pair[2 * i] = _mm256_unpacklo_epi16(even, odd);     /* columns 0..3 of two rows */
        pair[2 * i + 1] = _mm256_unpackhi_epi16(even, odd); /* columns 4..7 */
    }
    for (size_t i = 0; i < 2; i++)
        for (size_t high = 0; high < 2; high++) {
            __m256i a = pair[4 * i + high], b = pair[4 * i + 2 + high];
            four[4 * i + 2 * high] = _mm256_unpacklo_epi32(a, b);     /* columns 4 high + 0, 1 of four rows */
            four[4 * i + 2 * high + 1] = _mm256_unpackhi_epi32(a, b); /* and 2, 3 */
        }
    for (size_t i = 0; i < 4; i++) {
        column[2 * i] = _mm256_unpacklo_epi64(four[i], four[4 + i]);
        column[2 * i + 1] = _mm256_unpackhi_epi64(four[i], four[4 + i]);
    }
}

AVX2 static void order(tf_mlkem_poly *p)
{
    __m256i upper[8], lower[8];
    transpose_eight(upper, p, 0);
    transpose_eight(lower, p, 8);
    for (size_t i = 0; i < 8; i++) {
        store(p, i, _mm256_permute2x128_si256(upper[i], lower[i], 0x20));
        store(p, i + 8, _mm256_permute2x128_si256(upper[i], lower[i], 0x31));
    }
}

/* Each layer adds at most 2497 to a coefficient, as in mlkem768_poly.c. */
AVX2 static void transform(tf_mlkem_poly *p)
{
    for (size_t i = 0; i < 4; i++)
        two_layers(p, i, 4, zeta_of(1), zeta_of(2), zeta_of(3));
    for (size_t i = 0; i < 4; i++)
        two_layers(p, 4 * i, 1, zeta_of(4 + i), zeta_of(8 + 2 * i), zeta_of(9 + 2 * i));
    order(p);
    for (size_t i = 0; i < 4; i++)
        two_layers(p, i, 4, zeta_row(0), zeta_row(1), zeta_row(2));
    for (size_t i = 0; i < 4; i++) {
        const __m256i zeta = zeta_row(3 + i), zeta_inverse = times_inverse(zeta);
        __m256i v0 = load(p, 4 * i), v1 = load(p, 4 * i + 1), v2 = load(p, 4 * i + 2), v3 = load(p, 4 * i + 3);
        butterfly(&v0, &v2, zeta, zeta_inverse);
        butterfly(&v1, &v3, zeta, zeta_inverse);
        store(p, 4 * i, centre(v0));
        store(p, 4 * i + 1, centre(v1));
        store(p, 4 * i + 2, centre(v2));
        store(p, 4 * i + 3, centre(v3));
    }
}

/* Quarters by b and c first, then halves by a. */
TF_INLINE AVX2 void two_layers_back(tf_mlkem_poly *p, size_t first, size_t step, __m256i a, __m256i b, __m256i c, int reduce)
{
    const __m256i a_inverse = times_inverse(a), b_inverse = times_inverse(b), c_inverse = times_inverse(c);
    __m256i v0 = load(p, first), v1 = load(p, first + step), v2 = load(p, first + 2 * step), v3 = load(p, first + 3 * step);
    butterfly_back(&v0, &v1, b, b_inverse);
    butterfly_back(&v2, &v3, c, c_inverse);
    if (reduce) {
        v0 = centre(v0);
        v2 = centre(v2);
    }
    butterfly_back(&v0, &v2, a, a_inverse);
    butterfly_back(&v1, &v3, a, a_inverse);
    store(p, first, v0);
    store(p, first + step, v1);
    store(p, first + 2 * step, v2);
    store(p, first + 3 * step, v3);
}

/* Sums double: after layer 7 they are below 2 q, after 6 and 5 below 8 q, after 4 they would be 16 q and are centred: at most q / 2 + 4. Products are
 * at most 2497. So two layers later nothing is above 4 * 2497, and after the last two below 2^15 again: 8 * 2497. */
AVX2 static void transform_back(tf_mlkem_poly *p)
{
    for (size_t i = 0; i < 4; i++) {
        const __m256i zeta = zeta_row(10 + i), zeta_inverse = times_inverse(zeta);
        __m256i v0 = centre(load(p, 4 * i)), v1 = centre(load(p, 4 * i + 1)), v2 = centre(load(p, 4 * i + 2)), v3 = centre(load(p, 4 * i + 3));
        butterfly_back(&v0, &v2, zeta, zeta_inverse);
        butterfly_back(&v1, &v3, zeta, zeta_inverse);
        store(p, 4 * i, v0);
        store(p, 4 * i + 1, v1);
        store(p, 4 * i + 2, v2);
        store(p, 4 * i + 3, v3);
    }
    for (size_t i = 0; i < 4; i++)
        two_layers_back(p, i, 4, zeta_row(7), zeta_row(8), zeta_row(9), 0);
    order(p);
    for (size_t i = 0; i < 4; i++)
        two_layers_back(p, 4 * i, 1, zeta_of(7 - i), zeta_of(15 - 2 * i), zeta_of(14 - 2 * i), 1);
    for (size_t i = 0; i < 4; i++)
        two_layers_back(p, i, 4, zeta_of(1), zeta_of(3), zeta_of(2), 0);
    const __m256i back = _mm256_set1_epi16(BACK), back_inverse = times_inverse(back);
    for (size_t i = 0; i < 16; i++)
        store(p, i, product_with(load(p, i), back, back_inverse));
}

/* Vectors 2t and 2t + 1 hold the two coefficients of a factor. Each product is at most q 2^-16 q + q / 2 < 1835, of which at most six are added. */
AVX2 static void multiply(tf_mlkem_poly *r, const tf_mlkem_poly *a, size_t step, const tf_mlkem_poly *b)
{
    for (size_t t = 0; t < 8; t++) {
        __m256i even = _mm256_setzero_si256(), odd = even, top = even;
        for (size_t k = 0; k < TF_MLKEM_K; k++) {
            const __m256i x0 = load(&a[k * step], 2 * t), x1 = load(&a[k * step], 2 * t + 1);
            const __m256i y0 = load(&b[k], 2 * t), y1 = load(&b[k], 2 * t + 1);
            const __m256i y0_inverse = times_inverse(y0), y1_inverse = times_inverse(y1);
            even = _mm256_add_epi16(even, product_with(x0, y0, y0_inverse));
            top = _mm256_add_epi16(top, product_with(x1, y1, y1_inverse));
            odd = _mm256_add_epi16(odd, _mm256_add_epi16(product_with(x0, y1, y1_inverse), product_with(x1, y0, y0_inverse)));
        }
        top = product(top, zeta_row(3 + t / 2));
        even = t % 2 == 0 ? _mm256_add_epi16(even, top) : _mm256_sub_epi16(even, top);
        store(r, 2 * t, centre(even));
        store(r, 2 * t + 1, centre(odd));
    }
}

AVX2 static void add(tf_mlkem_poly *r, const tf_mlkem_poly *a, int factor)
{
    const __m256i by = _mm256_set1_epi16((short)factor), by_inverse = times_inverse(by);
    for (size_t i = 0; i < 16; i++) {
        __m256i x = load(r, i);
        if (factor != 0)
            x = product_with(x, by, by_inverse);
        store(r, i, centre(_mm256_add_epi16(x, load(a, i))));
    }
}

/* ---- Sampling ---- */

/* Sixteen numbers of twelve bits from 24 bytes: each half of the vector takes twelve of them, two numbers to three bytes. */
TF_INLINE AVX2 __m256i twelve_bits(const uint8_t *in)
{
    const __m128i places = _mm_setr_epi8(0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8, 9, 10, 10, 11);
    __m128i first = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)in), places);
    __m128i second =
        _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(in + 8)), _mm_add_epi8(places, _mm_set1_epi8(4))); /* not past the end */
    __m256i x = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
    return _mm256_blend_epi16(_mm256_and_si256(x, _mm256_set1_epi16(0x0fff)), _mm256_srli_epi16(x, 4), 0xaa);
}

/* Stores the numbers that the mask names, in their order, and whatever behind them; how many there are. */
TF_INLINE AVX2 size_t compact(int16_t *out, __m128i numbers, uint32_t mask)
{
    __m128i place = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)(const void *)compaction[mask]));
    place = _mm_add_epi16(_mm_mullo_epi16(place, _mm_set1_epi16(0x0202)), _mm_set1_epi16(0x0100)); /* number n: bytes 2n and 2n + 1 */
    _mm_storeu_si128((__m128i *)(void *)out, _mm_shuffle_epi8(numbers, place));
    return (size_t)_mm_popcnt_u32(mask);
}

AVX2 static size_t uniform(tf_mlkem_poly *p, size_t have, const uint8_t *in, size_t len)
{
    const uint8_t *end = in + len;
    for (; in < end && have <= TF_MLKEM_N - 16; in += 24) {
        __m256i numbers = twelve_bits(in);
        __m256i below = _mm256_cmpgt_epi16(_mm256_set1_epi16(Q), numbers);
        __m128i first = _mm256_castsi256_si128(numbers), second = _mm256_extracti128_si256(numbers, 1);
        uint32_t mask = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(_mm256_castsi256_si128(below), _mm256_extracti128_si256(below, 1)));
        have += compact(p->c + have, first, mask & 0xff);
        have += compact(p->c + have, second, mask >> 8);
    }
    for (; in < end && have < TF_MLKEM_N; in += 3) {
        int d1 = in[0] | (in[1] & 0x0f) << 8;
        int d2 = in[1] >> 4 | in[2] << 4;
        if (d1 < Q)
            p->c[have++] = (int16_t)d1;
        if (d2 < Q && have < TF_MLKEM_N)
            p->c[have++] = (int16_t)d2;
    }
    return have;
}

/* In each four bits the two sums, then their difference and three, which never borrows. */
AVX2 static void noise(tf_mlkem_poly *p, const uint8_t in[128])
{
    const __m256i ones = _mm256_set1_epi8(0x55), pairs = _mm256_set1_epi8(0x33), four = _mm256_set1_epi8(0x0f), three = _mm256_set1_epi8(3);
    for (size_t i = 0; i < 4; i++) {
        __m256i bits = _mm256_loadu_si256((const __m256i *)(const void *)(in + 32 * i));
        __m256i sums = _mm256_add_epi8(_mm256_and_si256(bits, ones), _mm256_and_si256(_mm256_srli_epi16(bits, 1), ones));
        __m256i plus = _mm256_add_epi8(_mm256_and_si256(sums, pairs), pairs);
        __m256i differences = _mm256_sub_epi8(plus, _mm256_and_si256(_mm256_srli_epi16(sums, 2), pairs));
        __m256i even = _mm256_sub_epi8(_mm256_and_si256(differences, four), three);
        __m256i odd = _mm256_sub_epi8(_mm256_and_si256(_mm256_srli_epi16(differences, 4), four), three);
        __m256i low = _mm256_unpacklo_epi8(even, odd), high = _mm256_unpackhi_epi8(even, odd);
        store(p, 4 * i, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(low)));
        store(p, 4 * i + 1, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(high)));
        store(p, 4 * i + 2, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(low, 1)));
        store(p, 4 * i + 3, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(high, 1)));
    }
}

/* ---- Encoding ---- */

/* The first 8 + more bytes of a vector's half. */
TF_INLINE AVX2 void put(uint8_t *out, __m128i x, size_t more)
{
    uint32_t rest = (uint32_t)_mm_extract_epi32(x, 2);
    _mm_storel_epi64((__m128i *)(void *)out, x);
    memcpy(out + 8, &rest, more);
}

AVX2 static void encode12(uint8_t out[384], const tf_mlkem_poly *p)
{
    const __m256i places = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1));
    for (size_t i = 0; i < 16; i++, out += 24) {
        __m256i pairs = _mm256_madd_epi16(canonical(load(p, i)), _mm256_set1_epi32(4096 << 16 | 1));
        pairs = _mm256_shuffle_epi8(pairs, places);
        put(out, _mm256_castsi256_si128(pairs), 4);
        put(out + 12, _mm256_extracti128_si256(pairs, 1), 4);
    }
}

AVX2 static int decode12(tf_mlkem_poly *p, const uint8_t in[384])
{
    __m256i above = _mm256_setzero_si256();
    for (size_t i = 0; i < 16; i++, in += 24) {
        __m256i x = twelve_bits(in);
        above = _mm256_or_si256(above, _mm256_cmpgt_epi16(x, _mm256_set1_epi16(Q - 1)));
        store(p, i, x);
    }
    return _mm256_movemask_epi8(above) != 0;
}

/* Compression to ten bits of 32-bit lanes, as in mlkem768_poly.c. */
TF_INLINE AVX2 __m256i compress10(__m256i x)
{
    x = _mm256_add_epi32(_mm256_mullo_epi32(x, _mm256_set1_epi32(322542)), _mm256_set1_epi32((1 << 19) - 128));
    return _mm256_and_si256(_mm256_srli_epi32(x, 20), _mm256_set1_epi32(0x3ff));
}

AVX2 static void encode10(uint8_t out[320], const tf_mlkem_poly *p)
{
    const __m256i places = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, 3, 4, 8, 9, 10, 11, 12, -1, -1, -1, -1, -1, -1));
    for (size_t i = 0; i < 16; i++, out += 20) {
        __m256i x = canonical(load(p, i));
        __m256i even = compress10(_mm256_and_si256(x, _mm256_set1_epi32(0xffff))), odd = compress10(_mm256_srli_epi32(x, 16));
        __m256i pairs = _mm256_or_si256(even, _mm256_slli_epi32(odd, 10)); /* twenty bits in 32, then forty in 64 */
        pairs = _mm256_srli_epi64(_mm256_sllv_epi32(pairs, _mm256_set1_epi64x(12)), 12);
        pairs = _mm256_shuffle_epi8(pairs, places);
        put(out, _mm256_castsi256_si128(pairs), 2);
        put(out + 10, _mm256_extracti128_si256(pairs, 1), 2);
    }
}

/* Each number's ten bits are multiplied to the top of a lane and brought to bits 5 to 14; then round(y 2^5 q / 2^15). */
AVX2 static void decode10(tf_mlkem_poly *p, const uint8_t in[320])
{
    const __m128i places = _mm_setr_epi8(0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 6, 7, 7, 8, 8, 9);
    for (size_t i = 0; i < 16; i++, in += 20) {
        __m128i first = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)in), places);
        __m128i second =
            _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)(in + 4)), _mm_add_epi8(places, _mm_set1_epi8(6))); /* not past the end */
        __m256i x = _mm256_inserti128_si256(_mm256_castsi128_si256(first), second, 1);
        x = _mm256_mullo_epi16(x, _mm256_set1_epi64x(0x0001000400100040));
        x = _mm256_and_si256(_mm256_srli_epi16(x, 1), _mm256_set1_epi16(0x7fe0));
        store(p, i, _mm256_mulhrs_epi16(x, _mm256_set1_epi16(Q)));
    }
}

/* round(2^4 x / q) or round(2 x / q), modulo that: floor(2^10 x / q), exact where it matters, then rounded to the bits wanted. */
TF_INLINE AVX2 __m256i compress_few(__m256i a, short factor)
{
    return _mm256_mulhrs_epi16(_mm256_mulhi_epi16(canonical(a), _mm256_set1_epi16(BARRETT)), _mm256_set1_epi16(factor));
}

AVX2 static void encode4(uint8_t out[128], const tf_mlkem_poly *p)
{
    for (size_t i = 0; i < 16; i += 2, out += 16) {
        __m256i x = _mm256_and_si256(compress_few(load(p, i), 512), _mm256_set1_epi16(15));
        __m256i y = _mm256_and_si256(compress_few(load(p, i + 1), 512), _mm256_set1_epi16(15));
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(x, y), 0xd8);
        __m256i pairs = _mm256_maddubs_epi16(bytes, _mm256_set1_epi16(0x1001));
        pairs = _mm256_permute4x64_epi64(_mm256_packus_epi16(pairs, pairs), 0xd8);
        _mm_storeu_si128((__m128i *)(void *)out, _mm256_castsi256_si128(pairs));
    }
}

AVX2 static void decode4(tf_mlkem_poly *p, const uint8_t in[128])
{
    for (size_t i = 0; i < 16; i += 2, in += 16) {
        __m256i bytes = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(const void *)in));
        __m256i even = _mm256_slli_epi16(_mm256_and_si256(bytes, _mm256_set1_epi16(15)), 11);
        __m256i odd = _mm256_slli_epi16(_mm256_srli_epi16(bytes, 4), 11);
        __m256i low = _mm256_mulhrs_epi16(_mm256_unpacklo_epi16(even, odd), _mm256_set1_epi16(Q));
        __m256i high = _mm256_mulhrs_epi16(_mm256_unpackhi_epi16(even, odd), _mm256_set1_epi16(Q));
        store(p, i, _mm256_permute2x128_si256(low, high, 0x20));
        store(p, i + 1, _mm256_permute2x128_si256(low, high, 0x31));
    }
}

AVX2 static void encode1(uint8_t out[32], const tf_mlkem_poly *p)
{
    for (size_t i = 0; i < 16; i += 2, out += 4) {
        __m256i x = _mm256_slli_epi16(compress_few(load(p, i), 64), 15), y = _mm256_slli_epi16(compress_few(load(p, i + 1), 64), 15);
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(x, y), 0xd8);
        tf_store32le(out, (uint32_t)_mm256_movemask_epi8(bytes));
    }
}

AVX2 static void decode1(tf_mlkem_poly *p, const uint8_t in[32])
{
    const __m256i bit = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768);
    for (size_t i = 0; i < 16; i++) {
        __m256i word = _mm256_set1_epi16((short)(in[2 * i] | in[2 * i + 1] << 8));
        __m256i set = _mm256_cmpeq_epi16(_mm256_and_si256(word, bit), bit);
        store(p, i, _mm256_and_si256(set, _mm256_set1_epi16((Q + 1) / 2)));
    }
}

const tf_mlkem768_impl tf_mlkem768_avx2 = {
    "mlkem768_avx2", TF_CPU_AVX2, transform, transform_back, order,    multiply, add,     uniform, noise,
    encode12,        encode10,    encode4,   encode1,        decode12, decode10, decode4, decode1,
};

#endif
