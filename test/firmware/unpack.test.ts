import { spawnSync } from "node:child_process";
import { gzipSync } from "node:zlib";
import { ConfigError } from "../../src/base/errors.ts";
import { MiB } from "../../src/base/units.ts";
import { ImageReader } from "../../src/firmware/image-reader.ts";
import { unpackLz4 } from "../../src/firmware/lz4.ts";
import { packingOf, unpack } from "../../src/firmware/unpack.ts";
import { unpackXz } from "../../src/firmware/xz.ts";
import { assert, randomSource, skipTest, test } from "../support/harness.ts";
import { codeLikeBytes, packLz4Literals } from "./images.ts";

const content = codeLikeBytes(3000);

function withSize(packed: Uint8Array, size: number = content.length): Uint8Array {
  const trailer = Buffer.alloc(4);
  trailer.writeUInt32LE(size);
  return Buffer.concat([packed, trailer]);
}

function unpacked(payload: Uint8Array): Uint8Array {
  const image = new ImageReader({ key: "boot.kernel", path: "vmlinuz", bytes: payload });
  const packing = packingOf(payload);
  assert.ok(packing !== undefined);
  return unpack(image, payload, packing);
}

/** The packed content, where the test's machine has no packer. */
const stored = {
  xz: "/Td6WFoAAAFpIt42AgEEACEBHACHbtrl4Au3CAJdAHQBfE1wEKWKljLeZYFiGS6SdEZ3dqNrNIYQRtvHrhGeMUevEY"
    + "SGw93NLYpxVbXIc+GfRESLzlNBbS7tYyJjetNw9NkhnscRJbDB2z6RnKOIrMi47UZNkdTr8qumhi94MdDzsCMfGjm3"
    + "mUvM3urp3IRoxRyyOf4DP0dcWRoBc9vEXN/JDHvkWAqpslKNZBjvoQ1tGFP8gaihw2l7/m7fiwbRIgAMYPdiPn5DAq"
    + "ZPevYXCpYRuF3xlWYdZ66UW/xHPCTwxhxEuzoWj1IyWyPjauvmSO24NOcOzGqOY9q0Rf+7jgmqu7bbaLPq1zEFmzug"
    + "OA3wCZ/R4TJWJx/vN4zhCq+5J6uYQdWzUcDyPL87I1vjjSjx9EnLYR5SDuWzFPB4L+oHmTmDof4eDm5u3yLaRvSruF"
    + "xLOKK8O3rpOl4zEO22/OFJ9x0Djx3maCpD1nXIw+XWLaZ4AEOfyrQ0RXKIZeKzl7/uk+DN2iS8vl7IBDwaIRmmmzPi"
    + "Wj/KdobUvBJ4csqvnWpeggaEzr3cjzmG3Pu7iQJ3NIWdJHrhfq+LgN0OA47Dyd7ROGUuDifvi/VGBHXsi7ANax9TVH"
    + "l8wrt9gcJ2+Ts1YYS59OUqwxFjHmRQEbhIQiddwOzr/vQ+qZAKDLIQmypxCRFVWKogOFhtezpzrQjkgYeWRaLVL90G"
    + "UVaQLIz4sOzExDlk/GcbY1GxXzdv4VxRxSRVighAbJ3gDkD83Y4P0gc5ioAdagZ56RBv281nzwKSDnjlySSdTahMvz"
    + "M6VhZj2HetcqyoRTqJpoCbFg2oOkTHlMENCUTRfH8WEXaSuVcPuRFnSliLZdNnyaeeAr+06JmJXiyo4wOU0lNyW1he"
    + "7Q5FwRhKN3VSEvPRigA7l/hJUn5OmX/GKthVXGVNi1AeV343TwYRMb8WIZP21j6mapEryYsxw71NEx59WMqr5NgOPf"
    + "DuWJBSj8TEXJWFZEUExeMQjwRYakcqnC4yYzxyGws4K9tRUdbmLsYLPrkLAFp7wnbHXd6B6umVrdoauKp2Vt0pAuJ7"
    + "Z25ZOXRXqXZKkIh12OiJwwuY36jMUuNe0NcL8Gbeodu9JwrpVC/UfRaaOhuUFs3jVEQEfsEwKMz6HZJWVEzj4xbAjN"
    + "XTJtntUXGHB5kwL7jTSrC/fR5Nb4baxZw4ZzPqWJxCpvhmdneolhA7QApYAKlGUikW9ywTWfobZeqcZ4cKk2IwWzkG"
    + "u7kP/K0NbANTzzHvWhu4XRck+uzDoeMiaZ/bHIiCg5nRSc6pruwhjEb2uuiar7yLeH7vySgotb5IxjHunZV+BIscSU"
    + "QclrDqzOD70ynC7dRK07iuMCsxJp4221p/Fs2zyWEhMRVueSLfSW+6fx+N7vCBnDGtt3sD7IZvfIzMMXP7pD9QbBIT"
    + "Cx2DT59nt7v44z48amSmCbE5ligCi0LCs3vJU2XY5TjE1/8h8V1oeq4I5PDrDya7HamPFyDkFgY3D/j/AB4pJ0RJVA"
    + "vgL9tKF3DeWUA4QJYEaYPN2aD7lcq5VGaA7AUIilAFltPUx691nu+BV2jnGeEvEU6oltTSycRZdTCw1/Lw1zDDVEL1"
    + "A68/4+/nTfBUcgFTIw0hacEJd39rFGoX6CYwkdb4pZ5Kl/KKEagJHaOgmD7CQkxgl4vc+VZId5cbpKyJ4xIOz1k7/k"
    + "lPtGjZnl9pURFnXu5iYNlW7lBr2caMnzekfvei6PqMnjY0vXVFmshK3oP62hCyhHu3U5O8USWOdDvytqcjPpih+a5O"
    + "nVWrnqBGm6MkBlTgttbkgpAdIbMvx6CNfcVDiXG0OR7SQKQah9Mn5YDmtpstQ2uUCRtT0vLL4KlHG/Un9EqYfb/xEE"
    + "gQFKv1ChwP3V5X57oYOXXlL8aavEoPx45PbYxBzzGkkIsCf+Pvnxt5CkNvH7a1la6JDY04nBpGitmBeVVSD2U4+A5d"
    + "R4f1EyMe1Hj2qVUbl8XJaShTZamKAY1hg/siBv6mkAnpa20VuxP/eipXE8aJ0Kae+0AkqV0AHA5Iu655+QaKXbvwVc"
    + "+Xag4DQdHRu+hLwud6gb7J+/cp61ZMoTpOn5JtQkxzqayNF8EQOOi7dSRtV0LnW3YaExm6ITmaai4ijEIPJBBKnFpQ"
    + "K4VDNhI1gPF/hVy2PjmYfNTmgtatLUK9hwpZ579TbPqB/mj4LZt4G1DVyg3WL2B2CPolNbdEnnAMt+ZJN3u7HB7BNO"
    + "vLw0VPPhtmj41ee+Y28hHt/OT7R4nLYI3TMFjcwVDi69YLOlhQur/EE8OKYSlvsi5vtplE05QiRWFpBkoGc+JDiXXV"
    + "nGpVIWbNQpAQAvgQeNnu3Vw+I+y6yvd6ZWTZotxbbqsT/nqdC3zpIYI5nIwn5p/s8xiVXciyb/uQmmyAH+TLmJaXdp"
    + "ibyUj9mLVLmWhMrIOo+EEfVrsqPDcQb/moObBMAmnEcC4utBVgNPAuvHUW7JGoiJQc3RwtC0uuBGkRYffExXbrarYA"
    + "fwlac03ibUVTTOLoa9AtkUNTplJWD55f5jBvdZG2bQ3QRuHJGezuNPAVSwcIoPnAesm8deTSXR7Bp7W3NTLVwaAPlb"
    + "OdjnH6P/cb1yrTDkdFz7Osyu7S5hk0Bk3mngU3fa9WAVLOoX22yRalEskkH+Mojd24bFZKdKPMB55bGpA7DGcEb3OJ"
    + "FSc0q/r9JzF/cMmW3njzdXYsE5bvCG1ITKt5k8DM+drUylCeTW1lW4fZN7hSr9SsMFip6ZFyTwYAAACEXY2DAAGaEL"
    + "gXAAD6pefePjANiwIAAAAAAVla",
  zstd: "KLUv/QRo3TgAKmbQE0lgnknUAYcqiR5gOlKTfdi4mHilrEIGAtPQ1eF2yLqMQmmyCAwpDyCrz1y0J8fGpkAgJg8Jh3"
    + "xvgOtb/vZPtmYkfSPkn2zNCEkBJAEpASkBN3q+TnDv55uWpmPsedQuHoJZX2Lhe91yYmiuaKQw3pK8WAjoumkeA7Lb"
    + "6qgqXRqhp48ctKQleu9Z4/0FIodABOwohv7Esa2nc+yyTML0mv6Aelm4FdfOK08Smj16DjFD/gZjDUE0DIbmqdl0WX"
    + "K6SJw3Q19cwTFuzQOmYrdKoCb7oz1FdYRemgox3G/RuQpgVZ9yvCIrpMVwifW6E7Fp7jj5WhUPk3TXgZ5rHuTw336H"
    + "wntqkqhI/bNMDYHKj6LBzqsfLgILclmVQu9T9NqlJEfx/ryuctc8XjJf56BOktM4atGWUD2ZI4ag33120+J5htmqqD"
    + "qB0xEKhM0QqJLjQyqfu8+r5ukowe6qylR9JegpcpSXO34Qgvf84bb6ToZdOf4kbc+Cc63ASnxyh+9bDZ4bU8Ba6p9V"
    + "uFlBOKTf8eJ9ZybZN94A2n1VrxKYejO4GK/2yxU1pj4dlTlFPg8leI7bqseITFpz9FNkxiuZm9uc2CH3jtAsood8BT"
    + "nuo3zeBUlBArlZ8HuodfDFrg8q6sZJR/V86frAlXC9BJKb/QVWr4PiJxm2lpl7hL42uUPw3CbF4+zW2vFRVA8yQv6T"
    + "tmNvJjLmvgm/3KY56dzXDVWdroSpPFRLNaO9Z0n8W3DibAfewd0ZUF+zGZULuhlnpiYT9iMUE5n+E2QVwzN2sw2CuY"
    + "aBXmR68b5wb5qWmv2i42lFzwNMyCjuYfC8GlzWKY+dMlF6FJ/Uz3sgniPfyzqBmm7uB2sTD8H1FTXNYB+VUt99230A"
    + "8BjsqlUbAb6EQn3Zx81F9uXf/b3uyueoRu7FqF6E+n1033C64yAw/6DZ7s4LWLVegpUvAbleC/kenHKsB+AC3n64a0"
    + "hcr9Tnrik8s+dQ7CVfeZrsKnSfulFhwm+8JJTnrBbYp3VKAXqRuwCV+x9C8G0k15SL6RXDh+Hw+HYyDPzG6CFXPt7F"
    + "26dQvs88VIi4xXJgO7nycdfv3WfKZs/bVBreALo3PT8E17vh4+1UHdcqozeNdmdQrq1emYTnlK7nmHi/ZJREBUT0o7"
    + "vVWN+JjL1CPIq9P6feaRTo6Q8B7WEdPue0a1IRHIJErlUZLtV0BMd503SUZH0Z4PccCJCEOri4jXnNMDVWdevhg7xf"
    + "3nG9Nvlpmno34X5eEU+dbC8B/r2i/D+cliehpniRcx/C4idH54g5w21eyRjOpvaAfdrDfhd/29ZXysAItSRfemheN4"
    + "2Js/ygGsOtcH2Wy6fYqHdZR5GIP0+Rf6eIfvAD4VswEY7Ee7TyHfgsReWDb54x3mvyubW0U7FXOfIspvdcBN6DGdlQ"
    + "1xCzdPcQ2dcqKdcVXoBr9zJ7amri1P9EOBzNZ8Jm1S2mO/3C5KjlRqobJ8NizNDoRUKDq9TCOaSS45l0Yf6GdfBFXi"
    + "KHsu0fsPxphB4EgeUKOoP8i+X/PPMLLJs3kdafM/ijWME1npFQS/wQFvEVB+72zPEAwJMh7zcrrseCSlkXQiO+2n1u"
    + "Lti3wrkRuBsGz4nqJ+nJA+niBDgp1eJIZDyKVy5tEadWshqjnz4TAu13EMP/4cWMqIo7+RzxIJzDTVcu90Lb/1EFgb"
    + "KocTQukdSQSFOSFIY1AW2hkJkdcXc4EnP8ESvT26jIMTXCHOXjXDOutWoMJuEoWzg5g5IRNjNEvDBCe5gqGAdS8yVz"
    + "e4xB8c/jPMqDCjgC8egLHcFDXBhksLDXYRMLeDzu2Cg3Y8YG0zcsqT8/1joqmRGC1gd7xphkGtzJ7M6rcYViHNxGtI"
    + "X+obixH2sOjrHAjId77GqM65wex1IGdQNFOOn0yOaGwZJkBH+sYQyK8fsYLFHTeTajeqA7emJYrx6MHKOUsTAHD4r1"
    + "Ds1F4yphbRDzKEs7QxsWOWY7IkkNBGE7LmYTNh4ixiAvG8VloI6Z1NRH+DTYQh25cakxKuNrtA+2xDl5WItRhX8Ey6"
    + "DzjLGUPrg+RQblqTWMsCMIazBbq5FiyNjgP+qnUXmAL0ZNj08Md40YY25wBA/JuGKAxYOQGUZI3JF1ejw3GHXYak2z"
    + "1hi04+w32Bqs82xG9UB39MSwHvDYXQcjZgT7oGHou6zAbm+GgDm5MQKQ+UNzt9ffP5ZiPciAIxCPvtARPCTj5DcotN"
    + "LjMbQexjPKB7qj/zAnj+llMMiNYIPmUdOhoI4FGXMMQtSgh4yOmbgDOqBPRj0MPwQ3JnD9D4DYIGaHYR11jePYxQ4P"
    + "1W81x9piBCQmw7btmBOI1OCNtgDckXbIVmPyY24Dx6PBMcRtzPzICo/b7fV+iOGcdJyuw3In94pAlDNeNNRK3o7+jy"
    + "Tyh9epAvpfEwA=",
  lz4: "AiFMGOIKAADwzugBAv8A+wYHCAn/6QwNDgAQ/xITVhXoF/9mABscHTz/AOkCewQA/wc8CQoL6f8ODwAReRP/FRbpGB"
    + "kaAI8dHh8AQ+kDBAUABwj/Co4M6A4P/wASExT7Fv/pGZAbAB3/zQABAulS/wYACJ8KC/8N6Q8QEQD/FBUWF5zp/xsc"
    + "AB4fAP8dA+kFBvUACQoLQQ0O6RAPEgAUFf8XGBnpwBz/AB+rAQID/+gGBwgApv8MDQ4R6BH/EwAVFhcY/xroHB3jAP"
    + "8BAocEBej/TwkACwyU/w8Q6J4TFAAWgBgZGhvooADwVvsC/wQFJOkICf8ADA0OD7f/6BMUqwAX/xnjGxzoHv8AAAID"
    + "XQX/B+mpCgsA/8MPEBES6f8VFgChGRr/HJroHwABAAMEBQYCCOkKC74ADg//zBIT6RVR/wAZGiccHf/o1AECAAT/QA"
    + "HwNekL/w0AgBAREv9p6BYXGAD/Gxwdix/p/wJcAAUGB/8JCugM3Q4AEBESExQV6CYYGQAbSP8eHwDoAgP/ANoHCAkK"
    + "/+gNYAHwVP8TFAUW6Bj/NQAcHR4B/wHpAw8FAP8IKQoLDOn/DxAAEv0U/xYX6BkaGwCvHh8AAdTpBAUGAAgJ/wvBDe"
    + "gPEP8AExQVsxf/6RpYHAAe/7oBAgPp6v8HAAnWCwz/DugQERIA/0AB8AtD6f8cHQAfAAH/0gTpBge0AAoLDCIOD+gR"
    + "D2AB8BX/GBka6Wod/wAAcgIDBP/pBwgJAFj/DQ4PoukS/xQAFhcYGf9gAfANDQD/AgNhBQbo/zUKAAwN9P8QEelUFB"
    + "UAF6AZGmAB8BMfAAAKA/8FBkzoCQr/AA0ODxBv/+gUFfkAGP8aKxwd6R//YAGw4Ab/COmOCwwA/24gAdDo/xYXAJ8a"
    + "G/8dv+kAYAHwEwUGB/cJ6QsM/AAPEP/LExTpFqX/ABobBx0e/+hfAgMABf9AAfAN6Az/DgDEERIT/xjoFxgZAP8cHR"
    + "7bAOj/A0sABqAC8BUL6Q3lDwAREg8UFRboiRkaABxH/x8AAekDBP8ANwgJCgv/6A5gAfAT/xQV2RfpGf95AB0eH53/"
    + "AukEfAYA/wlPCwwN6P8QEQAT/qAC8C7oGhscALsfAAEC/ukFBgcACQr/DAEO6RAR/wAUFRYtGP/pGxUdAB//5AIDBO"
    + "gF/wgACmoMDf8P6BESEwD/QAHwC07p/x0eAAABAv/EBegHCFQACwwNWg8Q6RIGYAEQ/8AC8A38Hv8AAUIDBAX/6QgJ"
    + "CgCd/w4PED7pE/8VABcYoALwEOkeH4kA/wMEVgYH6P9TCwANDhP/ERLo/BUWABgBGhtgAUAAAQBkoALwC/XpCgv/AA"
    + "4PEBFm/+gVFrEAGf8bjR0e6AD/YAGwJwf/CeikDA0A/7ugAtDp/xcYAMgbHP8eGugBYAHwEwYHCJYK6QwNDQAQEf8S"
    + "FBXoF4f/ABscwB4f/+m0AwQABv9AAcDoDf8PALISExT/S+ggBLD/HR4fEgHp/wQGAGAE8RQLDOgOJRAAEhP+FRYX6D"
    + "caGwAdD/8AAQLoBAX/AJ8JCgsM/yAEAGAEYIkY6Rr/ZyAE8AYR/wPoBTAHAP8KdQwNDun/ERIAFIWgAsDpGxwdADwA"
    + "AQIDRukgBABgBBC1YAEQ/yAE8A+MGf/oHCweAAD/qgMEBeg3/wkAC44NDv8Q6RITFABgBDAaseiAAwBgBGAkBugICQ"
    + "IgBGAsEBHoE/xgAfAQ/xobHOnWH/8AAgsEBQb/6QkKCwAJ/w8QEaHoFP8WAGAEEP9gAfAN6wD/BAXZBwjp/7QMAA4P"
    + "FP8SE+hTFhcAGTYbHGABQAECAD+gAmD76QsM/wBgBPABx//pFhfgABr/HNgeH+kB/2ABsXEI/wrpCw0OAP8qIATA/x"
    + "gZAFkcHf8f2ugCYAHwDgcICRwL6A0OgQAREv/tFRboGCf/ABwdpx8A/+n7gAUQ/0ABsegO/xAAZhMUFf+SIAQA4ABw"
    + "uwLo/wXZAGAE8AAMDegP8REAExTzFhcY6ZuABfACPf8BAgPoBQb/AE0KCwwN/+kgBABgBGD7Gekb/1wgBPAGBP8E6A"
    + "ZaCAD/C9YNDg/o/xITABV7oALA6RwdHgAJAQIDBAnoIAQAYARgfBDoEhP/IARgEBr/6B05YATwBXMEBQbp8P8KAAx3"
    + "Dg//EekTFBUAYARQG+7p/x+ABYAE/+gH6AkK3iAEYJAREugU/WABAEAFcOnLAP8AA3dABfAB6QoLDACc/xAREu7pFf"
    + "8XAGAE8Qn/HukAAdcA/wUGSggJ6P/mDQAPEK//ExSABUAalxwdYAFAAgMAAaACUfDpDA3/gAWwi//oFxi6ABv/HUSA"
    + "BRD/YAHAtgn/C+j7Dg8A/1oTIASj/xkaAP4dHv8AoOAG0AkKeQzpDg9nABIT/wiABbDW/wAdHoIAAf/opoAFEP9AAc"
    + "DoD/8RAAgUFRb/ZOkgBABgBGAOA+n/BprgBmD/DQ7oEDHgBmBVFxgZ6N6ABSBV/yAEsAYH/wAZCwwNDv/pIAQAYARg"
    + "PRroHP+AIATwAV3/BekHbgkA/wzUDg8Q6f/gBjOpGP/gBnDlAgMEBRPoIAQAYAQQ72ABEP8gBPEQHRv/6R68AAAC/y"
    + "0FBgfp3/8LAA2CDxD/EugUFRYA/6AFIuj/4AYg/6HgBhC4IAQQ/+AGEO9gAQBABXDpYgH/AATyQAXwAegLDA0AvP8R"
    + "EhOX6Rb/GABgBBD/YAGwfwD/BgeRCQro/5ngBmBP/xQV6K3gBiLEHeAGMAQAn6ACYPLoDQ7/AGAE8AGF/+gYGcsAHP"
    + "8ezgAB6AP/YAGwlQr/DOgBDxAA/4IgCMLo/xobALseH/8BiejgBjAKC2pACGAvABMU/5yABbD0/wAeH1QBAv/pG4AF"
    + "EP9AAbHpEP8SANMVFhf/LiAEAGAEYIkE6P8Hl+AGYP8OD+kRluAGYGwYGRroaoAFsIz/AwQF6QcI/wCAIAgg/+ggBA"
    + "BgBGAWG+gd/xIgBPABI/8G6AjfCgD/DX0PEBHp/+AGEIygAhDp4AYQPSAIETYgBABgBGDaEukUFf8gBPAPchz/6R+i"
    + "AQAD/9sGBwjoMf8MAA4aEBH/E+kVFhcAYARCHYzo/+AGEf/gBhBGIAQQBeAGED9gAQBABXDpHgL/AAU+QAUQ6KAJoF"
    + "r/EhMUKugX/xmgCSAe/2ABsIEA/wcI1woL6P+v4AYQTaAJECfgBiJrHuAGMAUAc6ACFDagCcAVD//oGRqyAB3/H8WA"
    + "BQCgCSAJ06AJEC2gCRCOIAgQ6KAJY70fAP8Ct+AGMAsMX0AIENSgCbB9GBnoGxH/AB8ATqAJEMCABQCgCSAP6aAJEC"
    + "igCRFoIAQAYARgFwXo/wiT4AYAoAkgEo3gBmDQGRob6XagAECp/wQFgAUw/wBBIAgAoAkQFaAJcBqNHOke/zUgBPAA"
    + "e/8H6QkfCwD/Dk4QERLooAlDGMoa/+AGEIogCBGoIAQAYAQQO2ABAKAJcBsEHf/oADagCfQBWQcICeiQ/w0AD1cREv"
    + "8U6aAJQh536P/gBnD/LAroDA0RIARgKhQV6RcAYAEAQAVw6dED/wAGjUAFEOmgCaCu/xMUFXDpGP8aoAkQH6AJcASN"
    + "AP8ICU2gCRDU4AZgF/8WF+lb4AYiMh/gBjAGAOigAiMM6aAJwBac/+kaGwAAHv8A7YAFAKAJcAqIDP8O6dugCRBwIA"
    + "gBoAly8AAB/wPK6OAGwAwNsg/oERL7ABUW/w==",
} as const;

test("every packing of Linux gives the packed bytes back", () => {
  const decoded = (text: string) => withSize(Buffer.from(text, "base64"));
  assert.deepEqual(unpacked(gzipSync(content)), Buffer.from(content));
  assert.ok(Buffer.compare(unpacked(packLz4Literals(content)), content) === 0);
  for (const [name, text] of Object.entries(stored)) {
    assert.ok(Buffer.compare(unpacked(decoded(text)), content) === 0, name);
  }
});

function compareWithTool(tool: string, args: readonly string[], bytes: Uint8Array): void {
  const title = `what ${tool} ${args.join(" ")} packs is unpacked`;
  const made = spawnSync(tool, [...args], { input: bytes, maxBuffer: 64 * MiB });
  if (made.error !== undefined) {
    skipTest(title, `${tool} is not installed`);
    return;
  }
  test(title, () => {
    assert.ok(Buffer.compare(unpacked(withSize(made.stdout, bytes.length)), bytes) === 0);
  });
}

/** More than one chunk of LZMA2 and with runs, so that long matches and far distances appear. */
const large = Buffer.concat([
  codeLikeBytes(1_000_000), new Uint8Array(300_000), codeLikeBytes(40_000),
]);
compareWithTool("xz", ["--check=crc32", "--x86", "--lzma2=dict=1MiB", "-c"], large);
compareWithTool("xz", ["--check=crc64", "-9", "--block-size=500000", "-c"], large);
compareWithTool("xz", ["--check=none", "--lzma2=preset=0,lc=1,lp=3,pb=0", "-c"], large);
compareWithTool("zstd", ["-9", "--long=27", "-c"], large);
/** More than one block of 8 MiB. */
const larger = Buffer.concat(Array.from({ length: 7 }, () => large));
compareWithTool("lz4", ["-l", "-9", "-c", "-"], larger);

test("damaged and truncated payloads are errors of the file, and never anything else", () => {
  const next = randomSource();
  const packed = [
    gzipSync(content), packLz4Literals(content),
    ...Object.values(stored).map((text) => withSize(Buffer.from(text, "base64"))),
  ];
  for (let round = 0; round < 1000; round += 1) {
    const bytes = Uint8Array.from(packed[round % packed.length] ?? []);
    // The first bytes stay, so that the packing is still recognised.
    for (let flips = next() % 4; flips >= 0; flips -= 1) {
      bytes[6 + next() % (bytes.length - 6)] = next() & 0xff;
    }
    const cut = next() % 3 === 0 ? 6 + next() % (bytes.length - 6) : bytes.length;
    try {
      unpacked(bytes.subarray(0, cut));
    } catch (error) {
      assert.ok(error instanceof ConfigError, `${String(error)} in round ${round}`);
      assert.equal(error.problems[0]?.key, "boot.kernel");
    }
  }
});

test("an XZ file whose content changed fails its checksum", () => {
  const packed = Buffer.from(stored.xz, "base64");
  // The check stands before the index, which is 12 bytes here, and the footer of 12.
  const at = packed.length - 12 - 12 - 1;
  packed[at] = (packed[at] ?? 0) ^ 1;
  assert.throws(() => unpackXz(packed, MiB, 0), /checksum/);
});

test("a small payload that unpacks to too much is refused", () => {
  const zeros = Buffer.from(stored.xz, "base64");
  assert.throws(() => unpackXz(zeros, 1000, 0), /too much/);
  assert.throws(() => unpackLz4(packLz4Literals(content), 1000), /behind the block/);
});
