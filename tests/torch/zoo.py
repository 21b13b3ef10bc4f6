"""Networks of other packages, small and with random weights: one of each family.

A name is ``package:network``. ``make(name)`` returns the network in eval mode and inputs for it, two samples.
"""

from __future__ import annotations

import importlib

import torch
import torchvision_operators

PACKAGES = {
    "torchvision": "torchvision",
    "timm": "timm",
    "transformers": "transformers",
    "smp": "segmentation_models_pytorch",
    "monai": "monai",
}

# Image size, frames.
_TORCHVISION = {
    "alexnet": (96,), "convnext_tiny": (64,), "densenet121": (64,), "efficientnet_b0": (64,),
    "efficientnet_v2_s": (64,), "googlenet": (64,), "inception_v3": (96,), "maxvit_t": (224,), "mnasnet0_5": (64,),
    "mobilenet_v2": (64,), "mobilenet_v3_small": (64,), "regnet_x_400mf": (64,), "regnet_y_400mf": (64,),
    "resnet18": (64,), "resnet50": (64,), "resnext50_32x4d": (64,), "shufflenet_v2_x0_5": (64,),
    "squeezenet1_1": (64,), "swin_t": (64,), "swin_v2_t": (64,), "vgg11": (64,), "vit_b_32": (224,),
    "wide_resnet50_2": (64,),
    "deeplabv3_mobilenet_v3_large": (96,), "fcn_resnet50": (64,), "lraspp_mobilenet_v3_large": (96,),
    "r3d_18": (64, 8), "mc3_18": (64, 8), "r2plus1d_18": (64, 8), "s3d": (224, 16), "swin3d_t": (64, 8),
    "mvit_v2_s": (224, 16), "mvit_v2_tiny": (32, 4),
}  # fmt: skip

_DETECTORS = [
    "fasterrcnn_mobilenet_v3_large_320_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "fasterrcnn_resnet50_fpn",
    "fasterrcnn_resnet50_fpn_v2", "fcos_resnet50_fpn", "keypointrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn_v2", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
]  # fmt: skip

_TIMM = [
    "beit_base_patch16_224", "halonet_h1", "mobileone_s1", "cait_xxs24_224", "coat_tiny", "convit_tiny",
    "convmixer_768_32", "convnext_atto_rms", "cpubone_nano", "crossvit_tiny_240", "csatv2", "cs3darknet_focus_s",
    "cspnext_tiny", "davit_tiny", "deit_tiny_patch16_224", "densenet121", "dla46x_c", "dpn48b", "edgenext_xx_small",
    "efficientformer_l1", "efficientformerv2_s0", "mobilenetv2_050", "efficientvim_m1", "efficientvit_b0",
    "efficientvit_m0", "eva02_tiny_patch14_224", "fasternet_t0", "fastvit_t8", "focalnet_tiny_srf", "gcvit_xxtiny",
    "ghostnet_050", "hardcorenas_b", "hgnetv2_b0", "hiera_tiny_224", "hieradet_small", "hrnet_w18_small", "iformer_t",
    "inception_next_atto", "inception_resnet_v2", "inception_v3", "inception_v4", "lcnetv2_small", "levit_384_s8",
    "lowformer_b0", "mambaout_femto", "maxvit_pico_rw_256", "poolformerv2_s12", "gmlp_ti16_224",
    "mobilenetv3_small_050", "mobilenetv5_base", "mobilevit_xxs", "mvitv2_tiny", "nest_tiny", "nextvit_small",
    "nf_regnet_b0", "pit_ti_224", "pvt_v2_b0", "rdnet_tiny", "regnetx_002", "repghostnet_050", "repvit_m0_9",
    "res2next50", "resnest14d", "resnet18", "resnetv2_18", "rexnet_100", "selecsls42", "legacy_seresnet18",
    "sequencer2d_s", "shvit_s1", "skresnet18", "starnet_s050", "swiftformer_xs", "swin_tiny_patch4_window7_224",
    "swinv2_tiny_window8_256", "swinv2_cr_tiny_224", "tiny_vit_5m_224", "tnt_s_legacy_patch16_224", "tresnet_m",
    "twins_svt_small", "visformer_tiny", "flexivit_small", "vit_tiny_r_s16_p8_224", "vit_srelpos_small_patch16_224",
    "samvit_base_patch16_224", "vitamin_small_224", "volo_d1_224", "ese_vovnet19b_slim_dw", "legacy_xception",
    "xception41p", "xcit_nano_12_p8_224",
]  # fmt: skip

_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_TEXT = {**_SMALL, "vocab_size": 100, "max_position_embeddings": 64}
_VISION = {**_SMALL, "image_size": 32, "patch_size": 8}
_STAGES = {"depths": [1, 1], "hidden_sizes": [16, 32]}
# Class that is made from its configuration, settings, and what it reads.
_TRANSFORMERS = {
    "AlbertModel": ({**_TEXT, "embedding_size": 16}, "ids"),
    "ASTModel": ({**_SMALL, "max_length": 32, "num_mel_bins": 16, "patch_size": 8}, (32, 16)),
    "BartModel": ({"vocab_size": 100, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_ffn_dim": 64,
                   "decoder_ffn_dim": 64, "encoder_attention_heads": 4, "decoder_attention_heads": 4}, "ids"),
    "BeitModel": (_VISION, (3, 32, 32)),
    "BertModel": (_TEXT, "ids"),
    "BitModel": ({**_STAGES, "embedding_size": 32, "num_groups": 8}, (3, 64, 64)),
    "BloomModel": ({"vocab_size": 100, "hidden_size": 32, "n_layer": 2, "n_head": 4}, "ids"),
    "CLIPTextModelWithProjection": ({**_TEXT, "projection_dim": 16, "eos_token_id": 1}, "ids"),
    "CLIPVisionModel": (_VISION, (3, 32, 32)),
    "ConvNextModel": ({**_STAGES, "num_stages": 2}, (3, 64, 64)),
    "ConvNextV2Model": ({**_STAGES, "num_stages": 2}, (3, 64, 64)),
    "CvtModel": ({"embed_dim": [16, 32, 64], "num_heads": [1, 2, 4], "depth": [1, 2, 3],
                  "cls_token": [False, False, True]}, (3, 64, 64)),
    "DeiTModel": (_VISION, (3, 32, 32)),
    "DistilBertModel": ({"vocab_size": 100, "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}, "ids"),
    "Dinov2Model": (_VISION, (3, 32, 32)),
    "EfficientNetModel": ({"width_coefficient": 0.5, "depth_coefficient": 0.3, "hidden_dim": 640}, (3, 64, 64)),
    "ElectraModel": ({**_TEXT, "embedding_size": 16}, "ids"),
    "FalconModel": ({**_SMALL, "vocab_size": 100}, "ids"),
    "FocalNetModel": ({"embed_dim": 16, "depths": [1, 1], "hidden_sizes": [16, 32], "focal_levels": [2, 2],
                       "focal_windows": [3, 3], "image_size": 32}, (3, 32, 32)),
    "GLPNModel": ({"depths": [1, 1, 1, 1], "hidden_sizes": [16, 32, 32, 32], "num_attention_heads": [1, 2, 2, 2]},
                  (3, 64, 64)),
    "GPT2Model": ({"vocab_size": 100, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}, "ids"),
    "GPTNeoXModel": (_TEXT, "ids"),
    "HieraModel": ({"embed_dim": 16, "image_size": [64, 64], "depths": [1, 1], "num_heads": [1, 2],
                    "query_stride": [2, 2], "num_query_pool": 1, "masked_unit_size": [8, 8]}, (3, 64, 64)),
    "IJepaModel": (_VISION, (3, 32, 32)),
    "LevitModel": ({"image_size": 64, "hidden_sizes": [16, 32, 48], "num_attention_heads": [1, 2, 3],
                    "depths": [1, 1, 1], "key_dim": [8, 8, 8]}, (3, 64, 64)),
    "LlamaModel": (_TEXT, "ids"),
    "MistralModel": ({**_TEXT, "num_key_value_heads": 2}, "ids"),
    "MobileNetV1Model": ({"depth_multiplier": 0.25}, (3, 64, 64)),
    "MobileNetV2Model": ({"depth_multiplier": 0.35}, (3, 64, 64)),
    "MobileViTModel": ({"hidden_sizes": [32, 48, 64], "neck_hidden_sizes": [8, 16, 24, 32, 48, 64, 128]}, (3, 64, 64)),
    "MobileViTV2Model": ({"width_multiplier": 0.5}, (3, 64, 64)),
    "MPNetModel": (_TEXT, "ids"),
    "OPTModel": ({"vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
                  "ffn_dim": 64, "word_embed_proj_dim": 32}, "ids"),
    "PoolFormerModel": ({"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1]}, (3, 64, 64)),
    "PvtModel": ({"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
                  "image_size": 64}, (3, 64, 64)),
    "PvtV2Model": ({"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]},
                   (3, 64, 64)),
    "Qwen2Model": ({**_TEXT, "num_key_value_heads": 2}, "ids"),
    "RegNetModel": ({"depths": [1, 1, 1, 1], "hidden_sizes": [16, 16, 32, 32], "groups_width": 8}, (3, 64, 64)),
    "ResNetModel": ({**_STAGES, "embedding_size": 16, "layer_type": "basic"}, (3, 64, 64)),
    "RobertaModel": (_TEXT, "ids"),
    "SegformerModel": ({"hidden_sizes": [16, 16, 32, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2]},
                       (3, 64, 64)),
    "SiglipVisionModel": (_VISION, (3, 32, 32)),
    "SqueezeBertModel": ({**_TEXT, "embedding_size": 32}, "ids"),
    "SwiftFormerModel": ({"depths": [1, 1, 1, 1], "embed_dims": [16, 16, 32, 32]}, (3, 64, 64)),
    "Swin2SRModel": ({"embed_dim": 16, "depths": [1], "num_heads": [2], "window_size": 4, "image_size": 32},
                     (3, 32, 32)),
    "SwinModel": ({"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "image_size": 32, "window_size": 4},
                  (3, 32, 32)),
    "Swinv2Model": ({"embed_dim": 16, "depths": [1, 1], "num_heads": [1, 2], "image_size": 32, "window_size": 4},
                    (3, 32, 32)),
    "TextNetModel": ({}, (3, 64, 64)),
    "TimesformerModel": ({**_VISION, "num_frames": 2}, (2, 3, 32, 32)),
    "VideoMAEModel": ({**_VISION, "num_frames": 4}, (4, 3, 32, 32)),
    "ViTModel": (_VISION, (3, 32, 32)),
    "ViTMSNModel": (_VISION, (3, 32, 32)),
    "VivitModel": ({**_SMALL, "image_size": 32, "num_frames": 4, "tubelet_size": [2, 8, 8]}, (4, 3, 32, 32)),
    "Wav2Vec2Model": ({**_SMALL, "conv_dim": [16, 16], "conv_stride": [5, 2], "conv_kernel": [10, 3],
                       "num_feat_extract_layers": 2, "num_conv_pos_embeddings": 16,
                       "num_conv_pos_embedding_groups": 4}, (800,)),
    "XLMRobertaModel": (_TEXT, "ids"),
    "YolosModel": ({**_VISION, "image_size": [32, 32], "num_detection_tokens": 4}, (3, 32, 32)),
}  # fmt: skip

_SMP = [
    "Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "PAN", "DeepLabV3", "DeepLabV3Plus", "UPerNet",
    "Segformer", "DPT",
]  # fmt: skip

# Class, arguments, what it reads.
_VOLUME = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2}
_WIDTHS = {"channels": (8, 16, 32), "strides": (2, 2)}
_MONAI = {
    "AttentionUnet": ({**_VOLUME, **_WIDTHS}, (1, 16, 16, 16)),
    "BasicUNet": ({**_VOLUME, "features": (8, 8, 16, 16, 32, 8)}, (1, 32, 32, 32)),
    "DenseNet121": (_VOLUME, (1, 32, 32, 32)),
    "DynUNet": ({**_VOLUME, "kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2],
                 "filters": [8, 16, 32]}, (1, 16, 16, 16)),
    "HighResNet": (_VOLUME, (1, 16, 16, 16)),
    "ResNet": ({"block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [8, 16, 16, 32], "n_input_channels": 1,
                "num_classes": 4}, (1, 32, 32, 32)),
    "SegResNet": ({**_VOLUME, "init_filters": 8}, (1, 16, 16, 16)),
    "SwinUNETR": ({"in_channels": 1, "out_channels": 2, "feature_size": 12}, (1, 64, 64, 64)),
    "UNet": ({**_VOLUME, **_WIDTHS, "num_res_units": 2}, (1, 16, 16, 16)),
    "UNETR": ({"in_channels": 1, "out_channels": 2, "img_size": 32, "feature_size": 8, "hidden_size": 48,
               "mlp_dim": 64, "num_heads": 4}, (1, 32, 32, 32)),
    "ViT": ({"in_channels": 1, "img_size": 32, "patch_size": 16, "hidden_size": 48, "mlp_dim": 64, "num_layers": 2,
             "num_heads": 4, "classification": True}, (1, 32, 32, 32)),
    "VNet": ({}, (1, 32, 32, 32)),
}  # fmt: skip

NAMES = [
    *(f"torchvision:{name}" for name in (*_TORCHVISION, *_DETECTORS)),
    *(f"timm:{name}" for name in _TIMM),
    *(f"transformers:{name}" for name in _TRANSFORMERS),
    *(f"smp:{name}" for name in _SMP),
    *(f"monai:{name}" for name in _MONAI),
]


def load(family):
    """Import the package of a family."""
    torchvision_operators.provide()
    return importlib.import_module(PACKAGES[family])


def _mvit_v2_tiny(package, size, frames):
    """Two blocks of torchvision's mvit_v2_s, which adds its shortcuts through views."""
    mvit = package.models.video.mvit
    blocks = [
        mvit.MSBlockConfig(1, 16, 32, [3, 3, 3], [3, 3, 3], [1, 1, 1], [1, 2, 2]),
        mvit.MSBlockConfig(2, 32, 32, [3, 3, 3], [3, 3, 3], [1, 2, 2], [1, 1, 1]),
    ]
    return mvit.MViT(
        (size, size), frames, blocks, True, False, rel_pos_embed=True, proj_after_attn=True, num_classes=10
    )


def make(name):
    """Return a network in eval mode and inputs for it."""
    family, _, which = name.partition(":")
    package = load(family)
    if family == "torchvision":
        net, inputs = _make_torchvision(package, which)
    elif family == "timm":
        net = package.create_model(which, pretrained=False)
        inputs = torch.randn(2, *net.pretrained_cfg.get("input_size", (3, 224, 224)))
    elif family == "smp":
        encoder, size = ("tu-vit_tiny_patch16_224", 224) if which == "DPT" else ("resnet18", 128)
        net, inputs = getattr(package, which)(encoder, encoder_weights=None), torch.randn(2, 3, size, size)
    elif family == "monai":
        settings, shape = _MONAI[which]
        net, inputs = getattr(package.networks.nets, which)(**settings), torch.randn(2, *shape)
    else:
        settings, reads = _TRANSFORMERS[which]
        kind = getattr(package, which)
        net = kind(kind.config_class(**settings, use_cache=False))
        inputs = torch.randint(2, 99, (2, 16)) if reads == "ids" else torch.randn(2, *reads)
    return net.eval(), inputs


def _make_torchvision(package, which):
    if which in _DETECTORS:
        options = {"num_classes": 4, "weights": None, "weights_backbone": None}
        if "rcnn" in which:
            options |= {"rpn_pre_nms_top_n_test": 50, "rpn_post_nms_top_n_test": 20, "box_detections_per_img": 5}
        else:
            options |= {"topk_candidates": 20, "detections_per_img": 5, "score_thresh": 0.0}
        if not which.startswith("ssd"):
            options |= {"min_size": 64, "max_size": 96}
        return package.models.get_model(which, **options), torch.rand(2, 3, 64, 64)
    size, *frames = _TORCHVISION[which]
    images = torch.randn(2, 3, *frames, size, size)
    if which == "mvit_v2_tiny":
        return _mvit_v2_tiny(package, size, *frames), images
    options = {"weights": None}
    if which.endswith(("_large", "fcn_resnet50")):  # segmentation
        options["weights_backbone"] = None
    if which in ("googlenet", "inception_v3"):
        options["init_weights"] = False
    return package.models.get_model(which, **options), images
