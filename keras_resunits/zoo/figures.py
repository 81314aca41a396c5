"""Published figures of the networks, and figures derived by hand: tables by depth, with each figure once.

Networks with the same units have the same number of parameters under any name, so the rows of `networks` and
`libraries` share these tables. Counts of trainable parameters are exact. Operations are half of the floating-point
operations in millions, as published by pytorchcv.
"""

from __future__ import annotations

OPTION_A = {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962, 1202: 19_421_274}
"""CIFAR networks of basic units, with post- or pre-activation or plain, whose shortcuts have no weights."""

OPTION_B = {20: 272_474, 32: 466_906, 44: 661_338, 56: 855_770, 110: 1_730_714, 1202: 19_424_026}
"""The same with post-activation and projections."""
OPTION_B_OPERATIONS = {20: 41.29, 56: 127.06, 110: 255.70, 1202: 2_857.17}
RAW_STEM_B = {20: 272_282, 56: 855_578, 110: 1_730_522, 1202: 19_423_834}
"""The same with pre-activation and projections, after a bare convolution."""
RAW_STEM_B_OPERATIONS = {20: 41.27, 56: 127.03, 110: 255.68, 1202: 2_857.14}
BOTTLENECK = {164: 1_704_154, 272: 2_816_986, 542: 5_599_066, 1001: 10_328_602}
"""CIFAR networks of bottlenecks with post-activation."""
BOTTLENECK_V1_5_OPERATIONS = {164: 255.31, 272: 420.61, 542: 833.87, 1001: 1_536.40}
PRE_BOTTLENECK = {164: 1_703_258, 272: 2_816_090, 542: 5_598_170, 1001: 10_327_706}
"""CIFAR networks of bottlenecks with pre-activation."""
PRE_BOTTLENECK_V1_5_OPERATIONS = {164: 255.08, 272: 420.38, 542: 833.64, 1001: 1_536.18}
SE_OPTION_B = {20: 274_847, 56: 862_889, 110: 1_744_952}
"""`OPTION_B` with squeeze-and-excite."""
SE_BOTTLENECK = {164: 1_906_258}
"""`BOTTLENECK` with squeeze-and-excite."""
GATED_110 = 1_824_186
"""ResNet-110 for CIFAR with a 1x1 gate in every unit."""

IMAGENET = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808, 200: 64_673_832}
"""ImageNet networks with post-activation, and the stride on either convolution."""
SE_IMAGENET = {18: 11_779_624, 34: 21_960_416, 50: 28_088_024, 101: 49_326_872, 152: 66_821_848}
"""The same with squeeze-and-excite of at least 8 channels inside, as in timm; that of 50 layers and more: pytorchcv."""
IMAGENET_OPERATIONS = {18: 1_820.41, 34: 3_672.68, 50: 3_877.95, 101: 7_597.95, 152: 11_321.85}
IMAGENET_V1_5_OPERATIONS = {50: 4_110.48, 101: 7_830.48, 152: 11_554.38}
PRE_IMAGENET = {18: 11_687_720, 34: 21_795_880, 50: 25_549_352, 101: 44_541_480, 152: 60_185_128, 200: 64_666_152}
"""ImageNet networks with pre-activation."""

REPEATED_PRE_IMAGENET = {
    18: 11_687_848,
    34: 21_796_008,
    50: 25_549_480,
    101: 44_541_608,
    152: 60_185_256,
    200: 64_666_280,
}
"""The same with a pre-activation in the first unit too."""
REPEATED_PRE_IMAGENET_OPERATIONS = {18: 1_820.56, 34: 3_672.83, 50: 3_875.44, 101: 7_595.44, 152: 11_319.34}
REPEATED_PRE_IMAGENET_V1_5_OPERATIONS = {50: 4_107.97, 101: 7_827.97, 152: 11_551.87, 200: 15_068.63}
WIDE_BOTTLENECK = {50: 68_883_240, 101: 126_886_696}
"""ImageNet networks of bottlenecks twice as wide inside."""

WIDE = {
    (16, 4): 2_748_890,
    (16, 8): 10_961_370,
    (16, 10): 17_116_634,
    (28, 10): 36_479_194,
    (40, 4): 8_949_210,
    (40, 8): 35_748_314,
}
"""Wide residual networks for CIFAR, by depth and width."""
WIDE_OPERATIONS = {(16, 10): 2_414.04, (28, 10): 5_246.98, (40, 8): 5_176.90}
WIDE_IMAGENET = {(18, 2): 45_614_376, (18, 3): 101_778_216, (34, 2): 86_032_168}
DENSE = {(40, 12): 1_019_722, (100, 12): 6_979_642, (100, 24): 27_249_082}
"""DenseNets for CIFAR without bottlenecks, by depth and growth."""

DENSE_HALVED = {(40, 12): 599_050, (100, 12): 4_068_490, (100, 24): 16_114_138}
"""The same with transitions that halve the channels."""
DENSE_HALVED_OPERATIONS = {(40, 12): 210.80, (100, 12): 1_353.55, (100, 24): 5_354.19}

DENSE_BC = {
    (40, 12): 176_122,
    (40, 24): 690_346,
    (40, 36): 1_542_682,
    (100, 12): 769_162,
    (190, 40): 25_624_430,
    (250, 24): 15_324_406,
}
"""DenseNet-BC for CIFAR, by depth and growth."""
DENSE_BC_OPERATIONS = {
    (40, 12): 74.89,
    (40, 24): 293.09,
    (40, 36): 654.60,
    (100, 12): 298.45,
    (190, 40): 9_400.45,
    (250, 24): 5_519.54,
}

DENSE_IMAGENET = {121: 7_978_856, 161: 28_681_000, 169: 14_149_480, 201: 20_013_928}
DENSE_IMAGENET_OPERATIONS = {121: 2_872.13, 161: 7_793.16, 169: 3_403.89, 201: 4_347.15}
KERAS = {50: 25_583_592, 101: 44_601_832, 152: 60_268_520}
"""`keras.applications.ResNet50` and its deeper variants."""
KERAS_V2 = {50: 25_568_360, 101: 44_577_896, 152: 60_236_904}
