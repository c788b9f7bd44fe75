"""Elementary functions as formulas on ``Expr``: the same for a scalar and for a vector.

Coefficients are minimax fits of the named remainder on the reduced interval.
tests/test_math.py measures the error of each function over its whole range.
"""

from ._llvm import Expr

_LOG2E = 1.4426950408889634
_ROOT_HALF = 0.7071067811865476
_DENSITY = 0.3989422804014327  # of the normal distribution, at its mean
_EXP = {  # (exp(r) - 1 - r) / r² on |r| <= ln(2) / 2
    True: (0.5, 0.166665769896987757, 0.0416665546172045742, 0.00836317905272257737,
           0.00139261835877134945),
    False: (0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332613513,
            0.00138888888888837483, 0.000198412698748206253, 0.0000248015873255477412,
            2.75572554002064244e-6, 2.75572736431102953e-7, 2.51052170047207452e-8,
            2.09146869680868772e-9),
}  # fmt: skip
_LOG = (  # (log((1+s)/(1-s)) / s - 2) / s², as a polynomial in s², on s² <= 0.02945, float64
    0.66666666666666697, 0.39999999999899239, 0.285714286260958915, 0.222222111151441615,
    0.181828905566956035, 0.153316740301678619, 0.146170375487916501,
)  # fmt: skip
_LOG1P = (  # (log1p(f) - f + f²/2) / f³ on √½ - 1 <= f <= √2 - 1, float32
    0.333333126, -0.250000096, 0.200021192, -0.1666799618, 0.1421954128, -0.1240557464,
    0.1188823156, -0.1167577669, 0.06746642088,
)  # fmt: skip
_SOFTPLUS = {  # (log((1+s)/(1-s)) / s - 2) / s², as a polynomial in s², on 0 <= s <= 1/3
    True: (0.6666666732, 0.3999970633, 0.2859235799, 0.217065758, 0.2322432922),
    False: (0.666666666666666586, 0.400000000000145827, 0.285714285671087572,
            0.22222222717427863, 0.181817894361328582, 0.153855700649586231,
            0.133141442096549362, 0.120010728095907125, 0.0880073848614467388,
            0.161640456119435322),
}  # fmt: skip
_TANH_ABOVE, _TANH_BELOW = (  # tanh(x) / x as a ratio of polynomials in x² on |x| <= 9, float32
    (0.99999997835664123, 0.13377764968105318, 0.0034917149565033617, 2.0545290645177614e-05,
     1.3266074584043211e-08),
    (1.0, 0.46711079684333057, 0.025862249020671586, 0.00032792987502829995,
     7.7403476565195663e-07),
)  # fmt: skip
_TANH = (  # (tanh(x) / x - 1) / x², as a polynomial in x², on x² <= 0.3907, float64
    -0.333333333333333333, 0.133333333333333207, -0.0539682539682358663,
    0.0218694885351314377, -0.00886323549975519073, 0.00359212750687750155,
    -0.00145582839279676828, 0.000589981770846714141, -0.000238889254867531067,
    0.0000960405544531561618, -0.0000370801158559385797, 0.0000122089515626290787,
    -2.43840039938876906e-6,
)  # fmt: skip
_ERF_NEAR = {  # erf(x) / x, as a polynomial in x², on |x| <= 1
    True: (1.12837917, -0.376126267, 0.112835947, -0.026854212, 0.00518908742, -0.000801686429,
           7.87587506e-5),
    False: (1.12837916709551257, -0.376126389031837481, 0.112837916709548787,
            -0.0268661706450767932, 0.00522397762481801447, -0.000854832698083378991,
            0.000120553311116427109, -0.0000149255952668311816, 1.6461000484121368e-6,
            -1.6350312701054695e-7, 1.46597752740474358e-8, -1.13728488567916737e-9,
            5.9571761477489114e-11),
}  # fmt: skip
_ERF_FAR = {  # e^(x²) · erfc(x), as a polynomial in (x - 2.5) / (x + 2.5), on 1 <= x <= 4 or 6
    True: (0.210806368, -0.371736785, 0.251712217, -0.125030181, 0.0399643866, -0.00398635031,
           -0.00311584981),
    False: (0.210806364061143581, -0.371736733948973352, 0.251713193217449305,
            -0.125033052378829315, 0.0399225390755847592, -0.00399370116585823804,
            -0.00264236596429740316, 0.000875915450133760759, 0.000228380378908600814,
            -0.000128877171331295698, -0.0000341822381333152309, 0.0000186144575520800054,
            7.55259432313950232e-6, -2.29811025197359551e-6, -1.80200386534486076e-6,
            7.77333159740478531e-8, 3.44189246129556545e-7, 6.96119156022916801e-8),
}  # fmt: skip
# ln(2) in two pieces: the high one has trailing zeros, so that n * high is exact.
_LN2 = {
    True: (0.693145751953125, 1.42860682030941723e-6),
    False: (0.6931471803691238, 1.9082149292705877e-10),
}
_MANTISSA = {True: (23, 127), False: (52, 1023)}  # bits, exponent bias


def exp(x):
    """e^x = 2^n · e^r with n = round(x / ln 2); 2^n in two factors reaches 0, subnormals and ∞."""
    power, half, rest = _reduced_exp(x)
    return (power + 1.0) * half * rest


def expm1(x):
    """``eˣ - 1 = 2^n · (e^r - 1) + (2^n - 1)``, which near 0, where n is 0, keeps its digits."""
    power, half, rest = _reduced_exp(x)
    return (half * power + (half - x.like(1.0) / rest)) * rest


def _reduced_exp(x):
    """(e^r - 1, 2^a, 2^b) with e^x = e^r · 2^a · 2^b, |r| <= ln(2) / 2."""
    single, builder = x.single, x.builder
    low, high = (-104.0, 89.0) if single else (-746.0, 710.0)
    # Clamped by selects that keep NaN: every comparison with NaN is false.
    x = x.less(low).select(x.like(low), x)
    x = x.greater(high).select(x.like(high), x)
    bits, bias = _MANTISSA[single]
    magic = 1.5 * 2.0**bits  # adding it rounds to an integer, left in the low bits
    shifted = x.fma(_LOG2E, magic)
    n = shifted - magic
    ln2_high, ln2_low = _LN2[single]
    r = n.fma(-ln2_low, n.fma(-ln2_high, x))
    p = (r * r).fma(r.polynomial(*_EXP[single]), r)
    count = builder.sub(shifted.bits(), x.like(magic).bits())
    half = builder.ashr(count, x.int_constant(1))

    def power_of_two(k):
        biased = builder.add(k, x.int_constant(bias))
        return x.from_bits(builder.shl(biased, x.int_constant(bits)))

    return p, power_of_two(half), power_of_two(builder.sub(count, half))


def log(x):
    """log x = e · ln 2 + log1p(f), 1 + f in [√½, √2); fdlibm's arrangement of the terms."""
    single, builder = x.single, x.builder
    bits, bias = _MANTISSA[single]
    tiny = 2.0 ** (1 - bias)
    scale = 2.0 ** (bits + 2)
    subnormal = x.less(tiny)
    scaled = subnormal.select(x * scale, x)
    # Subtracting the bits of √½ puts the exponent where the significand crosses √½, not 1.
    offset = builder.sub(scaled.bits(), x.like(_ROOT_HALF).bits())
    exponent = builder.ashr(offset, x.int_constant(bits))
    mantissa = builder.sub(scaled.bits(), builder.shl(exponent, x.int_constant(bits)))
    e = Expr(builder, builder.sitofp(exponent, x.value.type))
    e = e - subnormal.select(x.like(float(bits + 2)), 0.0)
    f = x.from_bits(mantissa) - 1.0
    ln2_high, ln2_low = _LN2[single]
    half_square = f * f * 0.5
    if single:
        tail = (f * f * f).fma(f.polynomial(*_LOG1P), e * ln2_low)
    else:
        s = f / (f + 2.0)
        z = s * s
        tail = s.fma(half_square + z * z.polynomial(*_LOG), e * ln2_low)
    result = e.fma(ln2_high, f - (half_square - tail))
    infinity = x.like(float("inf"))
    result = x.less(infinity).select(result, x)  # +∞ and NaN pass through
    result = x.greater(0.0).select(result, x.like(float("nan")))
    result = x.equal(0.0).select(x.like(float("-inf")), result)
    return x.ordered().select(result, x)


def softplus(x):
    """max(x, 0) + log(1 + u) with u = e^-|x|; 1 + u = (1 + s) / (1 - s) for s = u / (u + 2)."""
    u = exp(-x.abs())
    s = u / (u + 2.0)
    z = s * s
    return x.maximum(0.0) + (s * z).fma(z.polynomial(*_SOFTPLUS[x.single]), s + s)


def tanh(x):
    """float32: a ratio of polynomials. float64: 1 - 2 / (e^{2|x|} + 1), and near 0 a polynomial."""
    size, z, one = x.abs(), x * x, x.like(1.0)
    if x.single:
        bound = x.like(9.0)
        z = size.greater(bound).select(bound * bound, z)
        ratio = z.polynomial(*_TANH_ABOVE) / z.polynomial(*_TANH_BELOW)
        result = size.greater(bound).select(bound, size) * ratio
        return result.greater(one).select(one, result).copysign(x)
    near = (size * z).fma(z.polynomial(*_TANH), size)
    far = one - x.like(2.0) / (exp(size * 2.0) + 1.0)
    return size.less(0.625).select(near, far).copysign(x)


def sigmoid(x):
    """1 / (1 + e^-|x|), or its complement: e never overflows, small results keep their digits."""
    e = exp(-x.abs())
    top = x.less(0.0).select(e, e.like(1.0))
    return top / (e + 1.0)


def sqrt(x):
    return x._call("llvm.sqrt")


def erf(x):
    """Near 0 x · P(x²); beyond 1, 1 - e^(-x²) · Q, whose second term stays below 0.16."""
    return _erf(x, exp(-(x * x)))


def _erf(x, e):
    """``erf(x)``, where e^(-x²) is known."""
    size = x.abs()
    near = x * (x * x).polynomial(*_ERF_NEAR[x.single])
    bound = 4.0 if x.single else 6.0
    y = size.greater(bound).select(x.like(bound), size)
    q = ((y - 2.5) / (y + 2.5)).polynomial(*_ERF_FAR[x.single])
    far = (x.like(1.0) - e * q).copysign(x)
    return size.greater(1.0).select(far, near)


def gelu_slope(x):
    """Φ(x) + x · Φ'(x), with one exponential for both."""
    e = exp(x * x * -0.5)
    return (_erf(x * _ROOT_HALF, e) + 1.0) * 0.5 + x * (e * _DENSITY)
