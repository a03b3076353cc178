-- A database as the fourth migration left it, dumped: scores of every kind, and runs in every state.
BEGIN TRANSACTION;
CREATE TABLE _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
INSERT INTO "_sqlx_migrations" VALUES(1,'first','2026-11-26 17:38:03',1,X'56D87AB904D49ED945C5248CDAA7B154AC68AD13BEA5766CE0165B27347D6889C26F4CD91AD23A843C278214BA03A0F1',1010907);
INSERT INTO "_sqlx_migrations" VALUES(2,'protocol','2026-11-26 17:38:03',1,X'F1823B0B2DDB944AAC203DD2152DFCE5632FA45D307ECF16A1D49DA4F0398580E9BB75476F5935C28272437C7F80C69D',6608045);
INSERT INTO "_sqlx_migrations" VALUES(3,'revision','2026-11-26 17:38:03',1,X'99E4CFC0D4EA21DF3FE462C8A00C174931CC27503243F6F9F461699EB04B3E76B9D835244D690F0B06E1E18E04BF33C1',439966);
INSERT INTO "_sqlx_migrations" VALUES(4,'interval','2026-11-26 17:38:03',1,X'608D52E85CDFDE2205BD4E9B4A4D2B37C2A362EB88214D3D25374CA064A2D1151ED8B392FF2E5D92631E9848FCABFFB7',830508);
CREATE TABLE encoders (
    key text primary key,
    name text not null,
    architecture text not null
) strict;
INSERT INTO "encoders" VALUES('SWAV_800','SwAV ImageNet 800','ResNet-50');
INSERT INTO "encoders" VALUES('PIRL_800','PIRL ImageNet 800','ResNet-50');
INSERT INTO "encoders" VALUES('EfficientNetLite0','EfficientNet-Lite0','EfficientNet-Lite0');
INSERT INTO "encoders" VALUES('OpenNsfw','ResNet-50 half width (Yahoo open_nsfw)','ResNet-50, half width');
CREATE TABLE epochs (
    run integer not null references runs (id) on delete cascade,
    epoch integer not null,
    train_loss real not null,
    test_metric real,
    primary key (run, epoch)
) strict;
INSERT INTO "epochs" VALUES(1,1,6.910520962306431203e-01,NULL);
INSERT INTO "epochs" VALUES(2,1,1.13949685863086158654e+00,1.0);
INSERT INTO "epochs" VALUES(3,1,9.30623923029218369507e-01,0.0);
INSERT INTO "epochs" VALUES(1,2,0.537535914352962,0.0);
INSERT INTO "epochs" VALUES(2,2,3.29159634453909721862e-01,0.0);
INSERT INTO "epochs" VALUES(3,2,4.52139215809958305847e-01,0.0);
INSERT INTO "epochs" VALUES(1,3,4.5079649346215383554e-01,0.0);
INSERT INTO "epochs" VALUES(2,3,1.25397972962153797515e-01,0.0);
INSERT INTO "epochs" VALUES(3,3,4.48229841355766545074e-01,0.0);
INSERT INTO "epochs" VALUES(4,1,7.61393325669424858581e-01,0.0);
INSERT INTO "epochs" VALUES(5,1,9.03199161802019423461e-01,1.0);
INSERT INTO "epochs" VALUES(6,1,7.35968198095049208617e-01,1.0);
INSERT INTO "epochs" VALUES(4,2,6.05590292385646322692e-01,0.0);
INSERT INTO "epochs" VALUES(5,2,9.19021027428763237487e-01,1.0);
INSERT INTO "epochs" VALUES(6,2,5.69347935063498344909e-01,0.0);
INSERT INTO "epochs" VALUES(4,3,4.92491411311285820495e-01,0.0);
INSERT INTO "epochs" VALUES(5,3,1.50545584486930505985e-01,0.0);
INSERT INTO "epochs" VALUES(6,3,4.3725116018738063861e-01,0.0);
INSERT INTO "epochs" VALUES(7,1,1.00211515596934730432e+00,0.0);
INSERT INTO "epochs" VALUES(8,1,2.55611833504268082251e+00,1.0);
INSERT INTO "epochs" VALUES(9,1,1.41324998651232047741e+00,0.0);
INSERT INTO "epochs" VALUES(7,2,6.29320221287863579284e-01,1.0);
INSERT INTO "epochs" VALUES(8,2,8.89043228301618748687e-01,0.0);
INSERT INTO "epochs" VALUES(9,2,9.55161848238536337341e-01,0.0);
INSERT INTO "epochs" VALUES(7,3,5.01571212496076279663e-01,1.0);
INSERT INTO "epochs" VALUES(8,3,3.62504618500289699234e-01,0.0);
INSERT INTO "epochs" VALUES(9,3,6.6915758552828008554e-01,0.0);
INSERT INTO "epochs" VALUES(10,1,9.65853469712393608581e-01,0.0);
INSERT INTO "epochs" VALUES(11,1,1.02868714396442695324e+00,1.0);
INSERT INTO "epochs" VALUES(12,1,1.12220982142857139685e+00,1.0);
INSERT INTO "epochs" VALUES(10,2,6.75814390182495117187e-01,1.0);
INSERT INTO "epochs" VALUES(11,2,1.95640429747956146044e+00,0.0);
INSERT INTO "epochs" VALUES(12,2,1.31410716048308784387e+00,0.0);
INSERT INTO "epochs" VALUES(10,3,6.23729348182678222656e-01,1.0);
INSERT INTO "epochs" VALUES(11,3,7.35994594424742687444e-01,0.0);
INSERT INTO "epochs" VALUES(12,3,3.07254242577723102325e-01,1.0);
INSERT INTO "epochs" VALUES(13,1,6.22373715043067932128e-01,0.5);
INSERT INTO "epochs" VALUES(14,1,5.91209694743156433105e-01,1.0);
INSERT INTO "epochs" VALUES(15,1,6.10847949981689453125e-01,1.0);
INSERT INTO "epochs" VALUES(13,2,4.82326388359069824218e-01,1.0);
INSERT INTO "epochs" VALUES(14,2,2.42435634136199951171e-01,1.0);
INSERT INTO "epochs" VALUES(15,2,4.49205256998538970947e-01,1.0);
INSERT INTO "epochs" VALUES(13,3,4.24311861395835876464e-01,1.0);
INSERT INTO "epochs" VALUES(14,3,9.93645329726859927177e-02,1.0);
INSERT INTO "epochs" VALUES(15,3,5.05119409412145614624e-01,0.5);
INSERT INTO "epochs" VALUES(18,1,3.68388080596923828125e+00,NULL);
INSERT INTO "epochs" VALUES(18,2,3.81765127182006835937e+00,3.21690618116776860802e+00);
INSERT INTO "epochs" VALUES(19,1,3.68386864662170410156e+00,NULL);
INSERT INTO "epochs" VALUES(19,2,3.81757247447967529296e+00,3.21696656138686076786e+00);
INSERT INTO "epochs" VALUES(28,1,3.68388080596923828125e+00,NULL);
INSERT INTO "epochs" VALUES(28,2,3.81765127182006835937e+00,3.21690618116776860802e+00);
INSERT INTO "epochs" VALUES(28,3,3.35395526885986328125e+00,NULL);
INSERT INTO "epochs" VALUES(28,4,2.58359980583190917968e+00,2.40833461907518797673e+00);
INSERT INTO "epochs" VALUES(28,5,2.51030039787292480468e+00,NULL);
INSERT INTO "epochs" VALUES(28,6,2.09599095582962036132e+00,2.05148173112431742026e+00);
INSERT INTO "epochs" VALUES(28,7,2.28088295459747314453e+00,NULL);
INSERT INTO "epochs" VALUES(28,8,2.0538349151611328125e+00,1.76094072882432906013e+00);
INSERT INTO "epochs" VALUES(28,9,2.10627317428588867187e+00,NULL);
INSERT INTO "epochs" VALUES(28,10,1.72394669055938720703e+00,1.60173371440626444162e+00);
CREATE TABLE images (
    sha256 text primary key,
    width integer not null,
    height integer not null,
    bytes integer not null,
    created_at integer not null
) strict;
CREATE TABLE predictions (
    image text not null references images (sha256),
    encoder text not null,
    task text not null,
    version text not null,
    output text not null,
    milliseconds real not null,
    created_at integer not null,
    primary key (image, encoder, task, version)
) strict;
CREATE TABLE results (
    id integer primary key,
    run integer references runs (id),
    encoder text not null references encoders (key),
    task text not null references tasks (key),
    score real not null,
    constant real,
    source text not null check (source in ('measured', 'imported')),
    encoder_sha256 text not null,
    dataset_sha256 text not null,
    configuration text not null,
    seed integer not null,
    device text not null,
    version text not null,
    finished_at integer not null,
    seconds real not null,
    test_samples integer not null, probe text not null default 'head' check (probe in ('head', 'knn', 'logistic')), protocol text not null default 'standard' check (protocol in ('standard', 'virb')), selected integer not null default 1 check (selected in (0, 1)), head text not null default '', predictions text not null default '', low real, high real,
    unique (encoder, task, source, encoder_sha256, dataset_sha256, configuration, seed)
) strict;
INSERT INTO "results" VALUES(1,1,'EfficientNetLite0','Eurosat',0.5,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0',1795714685,0.595090486,4,'head','standard',0,'','predictions/EfficientNetLite0/Eurosat/adam-0.001-standard-seed0.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(2,2,'EfficientNetLite0','Eurosat',0.5,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0',1795714685,0.604026759,4,'head','standard',1,'heads/EfficientNetLite0/Eurosat.safetensors','predictions/EfficientNetLite0/Eurosat/sgd-0.01-Poly-standard-seed0.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(3,3,'EfficientNetLite0','Eurosat',0.5,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0',1795714685,0.615993186,4,'head','standard',0,'','predictions/EfficientNetLite0/Eurosat/sgd-0.01-StepLR-standard-seed0.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(9,4,'EfficientNetLite0','Eurosat',0.5,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0',1795714686,0.019637558,4,'head','standard',0,'','predictions/EfficientNetLite0/Eurosat/adam-0.001-standard-seed1.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(10,5,'EfficientNetLite0','Eurosat',0.5,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0',1795714686,0.022331892,4,'head','standard',1,'heads/EfficientNetLite0/Eurosat.safetensors','predictions/EfficientNetLite0/Eurosat/sgd-0.01-Poly-standard-seed1.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(11,6,'EfficientNetLite0','Eurosat',0.5,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0',1795714686,0.031625295,4,'head','standard',0,'','predictions/EfficientNetLite0/Eurosat/sgd-0.01-StepLR-standard-seed1.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(17,7,'OpenNsfw','Eurosat',1.0,0.5,'measured','347f15e8f480e870fc5a2730fc607a1e9980df8cbcf0312a96d368ff5c449781','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0',1795714687,0.856237792,4,'head','standard',1,'heads/OpenNsfw/Eurosat.safetensors','predictions/OpenNsfw/Eurosat/adam-0.001-standard-seed0.json.zst',1.0,1.0);
INSERT INTO "results" VALUES(18,8,'OpenNsfw','Eurosat',0.5,0.5,'measured','347f15e8f480e870fc5a2730fc607a1e9980df8cbcf0312a96d368ff5c449781','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0',1795714687,0.857372561,4,'head','standard',0,'','predictions/OpenNsfw/Eurosat/sgd-0.01-Poly-standard-seed0.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(19,9,'OpenNsfw','Eurosat',0.5,0.5,'measured','347f15e8f480e870fc5a2730fc607a1e9980df8cbcf0312a96d368ff5c449781','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0',1795714687,0.858353601,4,'head','standard',0,'','predictions/OpenNsfw/Eurosat/sgd-0.01-StepLR-standard-seed0.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(25,10,'OpenNsfw','Eurosat',0.5,0.5,'measured','347f15e8f480e870fc5a2730fc607a1e9980df8cbcf0312a96d368ff5c449781','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0',1795714687,0.007907293,4,'head','standard',1,'heads/OpenNsfw/Eurosat.safetensors','predictions/OpenNsfw/Eurosat/adam-0.001-standard-seed1.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(26,11,'OpenNsfw','Eurosat',0.5,0.5,'measured','347f15e8f480e870fc5a2730fc607a1e9980df8cbcf0312a96d368ff5c449781','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0',1795714687,0.008873846,4,'head','standard',0,'','predictions/OpenNsfw/Eurosat/sgd-0.01-Poly-standard-seed1.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(27,12,'OpenNsfw','Eurosat',0.5,0.5,'measured','347f15e8f480e870fc5a2730fc607a1e9980df8cbcf0312a96d368ff5c449781','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0',1795714687,0.009812737,4,'head','standard',0,'','predictions/OpenNsfw/Eurosat/sgd-0.01-StepLR-standard-seed1.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(33,13,'EfficientNetLite0','Eurosat',1.0,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"virb","selection":"last-epoch","seed":0}',0,'cpu','0.1.0',1795714687,0.011373945,4,'head','virb',1,'heads/EfficientNetLite0/Eurosat.safetensors','predictions/EfficientNetLite0/Eurosat/adam-0.001-virb-seed0.json.zst',1.0,1.0);
INSERT INTO "results" VALUES(34,14,'EfficientNetLite0','Eurosat',1.0,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"virb","selection":"last-epoch","seed":0}',0,'cpu','0.1.0',1795714687,0.015282718,4,'head','virb',0,'','predictions/EfficientNetLite0/Eurosat/sgd-0.01-Poly-virb-seed0.json.zst',1.0,1.0);
INSERT INTO "results" VALUES(35,15,'EfficientNetLite0','Eurosat',0.5,0.5,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"virb","selection":"last-epoch","seed":0}',0,'cpu','0.1.0',1795714687,0.016800535,4,'head','virb',0,'','predictions/EfficientNetLite0/Eurosat/sgd-0.01-StepLR-virb-seed0.json.zst',0.0,1.0);
INSERT INTO "results" VALUES(36,NULL,'EfficientNetLite0','Eurosat',1.0,NULL,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"k":10,"name":"10 nearest neighbours","temperature":0.07}',0,'cpu','0.1.0',1795714687,0.037324405,4,'knn','virb',0,'','predictions/EfficientNetLite0/Eurosat/knn10-virb.json.zst',1.0,1.0);
INSERT INTO "results" VALUES(37,NULL,'EfficientNetLite0','Eurosat',1.0,NULL,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"k":20,"name":"20 nearest neighbours","temperature":0.07}',0,'cpu','0.1.0',1795714687,0.039224279,4,'knn','virb',1,'','predictions/EfficientNetLite0/Eurosat/knn20-virb.json.zst',1.0,1.0);
INSERT INTO "results" VALUES(38,NULL,'EfficientNetLite0','Eurosat',1.0,NULL,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"k":100,"name":"100 nearest neighbours","temperature":0.07}',0,'cpu','0.1.0',1795714687,0.043263596,4,'knn','virb',0,'','predictions/EfficientNetLite0/Eurosat/knn100-virb.json.zst',1.0,1.0);
INSERT INTO "results" VALUES(39,NULL,'EfficientNetLite0','Eurosat',1.0,NULL,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"k":200,"name":"200 nearest neighbours","temperature":0.07}',0,'cpu','0.1.0',1795714687,0.051267821,4,'knn','virb',0,'','predictions/EfficientNetLite0/Eurosat/knn200-virb.json.zst',1.0,1.0);
INSERT INTO "results" VALUES(40,NULL,'EfficientNetLite0','Eurosat',0.75,NULL,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"C":1.0,"name":"logistic regression"}',0,'cpu','0.1.0',1795714687,0.103236446,4,'logistic','virb',1,'','predictions/EfficientNetLite0/Eurosat/logistic-virb.json.zst',0.25,1.0);
INSERT INTO "results" VALUES(47,17,'EfficientNetLite0','Imagenetv2',0.75,NULL,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','afba8511953f5d27747dc81a06c62591edd7870a05b3790ad43ffe1e7c7d4e56','{"head_of":"Imagenet","head_sha256":"a062569c1ff7f0282a8843c86638b31fff633753b9da72aab1d0361d2782f0b5","protocol":"standard"}',0,'cpu','0.1.0',1795714689,0.185427806,4,'head','standard',1,'','predictions/EfficientNetLite0/Imagenetv2/head-of-Imagenet-standard.json.zst',0.25,1.0);
INSERT INTO "results" VALUES(48,18,'EfficientNetLite0','NYUDepth',3.21690618116776860802e+00,3.29973493303571452361e-01,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','50505399823328601364fc89082aac8c665887fa01b1500936eacb029e638758','{"name":"adam-0.001","epochs":2,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"last-epoch","seed":0}',0,'cpu','0.1.0',1795714692,1.82403944200000012187e+00,2,'head','standard',1,'heads/EfficientNetLite0/NYUDepth.safetensors','predictions/EfficientNetLite0/NYUDepth/adam-0.001-standard-seed0.json.zst',3.06211076731251896632e+00,3.37170159502301780563e+00);
INSERT INTO "results" VALUES(49,19,'EfficientNetLite0','NYUDepth',3.21696656138686076786e+00,3.29973493303571452361e-01,'measured','c3e3aa10e43a7a4ad9538277a23bbd3661c0713dc23310b7e110342cf85a2905','50505399823328601364fc89082aac8c665887fa01b1500936eacb029e638758','{"name":"adam-0.001","epochs":2,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"last-epoch","seed":0,"views":2}',0,'cpu','0.1.0',1795714695,2.093838137,2,'head','standard',1,'heads/EfficientNetLite0/NYUDepth.safetensors','predictions/EfficientNetLite0/NYUDepth/adam-0.001-standard-seed0.json.zst',3.06221959275331290228e+00,3.37171353002040818935e+00);
INSERT INTO "results" VALUES(50,20,'SWAV_800','Imagenet',0.75,NULL,'imported','','','{"from":"/data/scores.csv","name":"adam-0.0001"}',0,'unknown','imported',1795714683,0.0,0,'head','virb',1,'','',NULL,NULL);
INSERT INTO "results" VALUES(51,21,'PIRL_800','NYUDepth',0.4,NULL,'imported','','','{"from":"/data/scores.csv","name":"adam"}',0,'unknown','imported',1795714683,0.0,0,'head','virb',1,'','',NULL,NULL);
INSERT INTO "results" VALUES(52,22,'EfficientNetLite0','Eurosat',0.99,NULL,'imported','','','{"from":"/data/scores.csv","name":"other"}',0,'unknown','imported',1795714683,0.0,0,'head','standard',1,'','',NULL,NULL);
INSERT INTO "results" VALUES(53,23,'OpenNsfw','Pets',0.5,NULL,'imported','','','{"from":"/data/scores.csv","name":"x"}',0,'unknown','imported',1795714683,0.0,0,'head','virb',0,'','',NULL,NULL);
INSERT INTO "results" VALUES(54,24,'SWAV_800','Eurosat',0.91,NULL,'imported','','','{"from":"/data/out/SWAV_800/Eurosat-adam-0.0001","name":"adam-0.0001"}',0,'unknown','imported',1795714683,0.0,0,'head','virb',1,'','',NULL,NULL);
INSERT INTO "results" VALUES(55,25,'SWAV_800','Eurosat',0.87,NULL,'imported','','','{"from":"/data/out/SWAV_800/Eurosat-sgd-0.01-StepLR","name":"sgd-0.01-StepLR"}',0,'unknown','imported',1795714683,0.0,0,'head','virb',0,'','',NULL,NULL);
INSERT INTO "results" VALUES(63,NULL,'OpenNsfw','Eurosat',0.625,0.5,'measured','347f15e8f480e870fc5a2730fc607a1e9980df8cbcf0312a96d368ff5c449781','f10e40f724069d0df9c0884015d2d9d3241dbaf17dd89d3c44eafbbe66403893','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0,"precision":"bf16"}',0,'cpu','0.1.0',1795714787,0.856237792,4,'head','standard',1,'heads/OpenNsfw/Eurosat.safetensors','predictions/OpenNsfw/Eurosat/adam-0.001-standard-seed0.json.zst',1.0,1.0);
CREATE TABLE revision (number integer not null);
INSERT INTO "revision" VALUES(500);
CREATE TABLE runs (
    id integer primary key,
    encoder text not null references encoders (key),
    task text not null references tasks (key),
    configuration text not null,
    seed integer not null,
    device text not null,
    version text not null,
    status text not null check (status in ('running', 'finished', 'failed', 'interrupted')),
    error text,
    started_at integer not null,
    finished_at integer
, job text not null default '') strict;
INSERT INTO "runs" VALUES(1,'EfficientNetLite0','Eurosat','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714685,1795714685,'EfficientNetLite0.Eurosat.bc310f20193d');
INSERT INTO "runs" VALUES(2,'EfficientNetLite0','Eurosat','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714685,1795714685,'EfficientNetLite0.Eurosat.bc310f20193d');
INSERT INTO "runs" VALUES(3,'EfficientNetLite0','Eurosat','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714685,1795714685,'EfficientNetLite0.Eurosat.bc310f20193d');
INSERT INTO "runs" VALUES(4,'EfficientNetLite0','Eurosat','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0','finished',NULL,1795714685,1795714686,'EfficientNetLite0.Eurosat.174802237f61');
INSERT INTO "runs" VALUES(5,'EfficientNetLite0','Eurosat','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0','finished',NULL,1795714685,1795714686,'EfficientNetLite0.Eurosat.174802237f61');
INSERT INTO "runs" VALUES(6,'EfficientNetLite0','Eurosat','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0','finished',NULL,1795714685,1795714686,'EfficientNetLite0.Eurosat.174802237f61');
INSERT INTO "runs" VALUES(7,'OpenNsfw','Eurosat','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714686,1795714687,'OpenNsfw.Eurosat.bc310f20193d');
INSERT INTO "runs" VALUES(8,'OpenNsfw','Eurosat','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714686,1795714687,'OpenNsfw.Eurosat.bc310f20193d');
INSERT INTO "runs" VALUES(9,'OpenNsfw','Eurosat','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714686,1795714687,'OpenNsfw.Eurosat.bc310f20193d');
INSERT INTO "runs" VALUES(10,'OpenNsfw','Eurosat','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0','finished',NULL,1795714687,1795714687,'OpenNsfw.Eurosat.174802237f61');
INSERT INTO "runs" VALUES(11,'OpenNsfw','Eurosat','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0','finished',NULL,1795714687,1795714687,'OpenNsfw.Eurosat.174802237f61');
INSERT INTO "runs" VALUES(12,'OpenNsfw','Eurosat','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":1}',1,'cpu','0.1.0','finished',NULL,1795714687,1795714687,'OpenNsfw.Eurosat.174802237f61');
INSERT INTO "runs" VALUES(13,'EfficientNetLite0','Eurosat','{"name":"adam-0.001","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"virb","selection":"last-epoch","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714687,1795714687,'EfficientNetLite0.Eurosat.04b6d27187dc');
INSERT INTO "runs" VALUES(14,'EfficientNetLite0','Eurosat','{"name":"sgd-0.01-Poly","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.9,"learning_rate":0.01,"schedule":"poly","exponent":0.9,"standardise":false,"repeats":1,"protocol":"virb","selection":"last-epoch","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714687,1795714687,'EfficientNetLite0.Eurosat.04b6d27187dc');
INSERT INTO "runs" VALUES(15,'EfficientNetLite0','Eurosat','{"name":"sgd-0.01-StepLR","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"sgd","momentum":0.0,"learning_rate":0.01,"schedule":"step_lr","step_size":2,"gamma":0.1,"standardise":false,"repeats":1,"protocol":"virb","selection":"last-epoch","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714687,1795714687,'EfficientNetLite0.Eurosat.04b6d27187dc');
INSERT INTO "runs" VALUES(17,'EfficientNetLite0','Imagenetv2','{"head_of":"Imagenet","head_sha256":"a062569c1ff7f0282a8843c86638b31fff633753b9da72aab1d0361d2782f0b5","protocol":"standard"}',0,'cpu','0.1.0','finished',NULL,1795714689,1795714689,'EfficientNetLite0.Imagenetv2.6fe8e75486af');
INSERT INTO "runs" VALUES(18,'EfficientNetLite0','NYUDepth','{"name":"adam-0.001","epochs":2,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"last-epoch","seed":0}',0,'cpu','0.1.0','finished',NULL,1795714690,1795714692,'EfficientNetLite0.NYUDepth.4e1cf4aec757');
INSERT INTO "runs" VALUES(19,'EfficientNetLite0','NYUDepth','{"name":"adam-0.001","epochs":2,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"last-epoch","seed":0,"views":2}',0,'cpu','0.1.0','finished',NULL,1795714692,1795714695,'EfficientNetLite0.NYUDepth.2bb2836b38d8');
INSERT INTO "runs" VALUES(20,'SWAV_800','Imagenet','{"from":"/data/scores.csv","name":"adam-0.0001"}',0,'unknown','imported','finished',NULL,1795714683,1795714683,'');
INSERT INTO "runs" VALUES(21,'PIRL_800','NYUDepth','{"from":"/data/scores.csv","name":"adam"}',0,'unknown','imported','finished',NULL,1795714683,1795714683,'');
INSERT INTO "runs" VALUES(22,'EfficientNetLite0','Eurosat','{"from":"/data/scores.csv","name":"other"}',0,'unknown','imported','finished',NULL,1795714683,1795714683,'');
INSERT INTO "runs" VALUES(23,'OpenNsfw','Pets','{"from":"/data/scores.csv","name":"x"}',0,'unknown','imported','finished',NULL,1795714683,1795714683,'');
INSERT INTO "runs" VALUES(24,'SWAV_800','Eurosat','{"from":"/data/out/SWAV_800/Eurosat-adam-0.0001","name":"adam-0.0001"}',0,'unknown','imported','finished',NULL,1795714683,1795714683,'');
INSERT INTO "runs" VALUES(25,'SWAV_800','Eurosat','{"from":"/data/out/SWAV_800/Eurosat-sgd-0.01-StepLR","name":"sgd-0.01-StepLR"}',0,'unknown','imported','finished',NULL,1795714683,1795714683,'');
INSERT INTO "runs" VALUES(28,'EfficientNetLite0','NYUDepth','{"name":"adam-0.001","epochs":400,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":0.001,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"last-epoch","seed":0}',0,'cpu','0.1.0','running',NULL,1795714713,NULL,'EfficientNetLite0.NYUDepth.29f038e17113');
INSERT INTO "runs" VALUES(29,'EfficientNetLite0','Eurosat','{"name":"adam-1e+30","epochs":3,"batch_size":2,"test_batch_size":2,"optimiser":"adam","learning_rate":1e+30,"schedule":"constant","standardise":false,"repeats":1,"protocol":"standard","selection":"validation","seed":0}',0,'cpu','0.1.0','failed','the loss of Eurosat on OpenNsfw is no longer a number in epoch 2; lower the learning rate',1795714685,1795714685,'EfficientNetLite0.Eurosat.bc310f20193d');
CREATE TABLE tasks (
    key text primary key,
    name text not null,
    category text not null,
    metric text not null
) strict;
INSERT INTO "tasks" VALUES('Imagenet','ImageNet Cls.','image-semantic','top-1');
INSERT INTO "tasks" VALUES('Pets','Pets Cls.','image-semantic','top-1');
INSERT INTO "tasks" VALUES('Eurosat','Eurosat Cls.','image-semantic','top-1');
INSERT INTO "tasks" VALUES('NYUDepth','NYU Depth','pixel-structural','L1 error');
INSERT INTO "tasks" VALUES('Imagenetv2','ImageNet v2 Cls.','image-semantic','top-1');
CREATE INDEX results_of_a_cell on results (encoder, task, probe, selected);
CREATE TRIGGER results_added after insert on results begin update revision set number = number + 1; end;
CREATE TRIGGER results_changed after update on results begin update revision set number = number + 1; end;
CREATE TRIGGER results_removed after delete on results begin update revision set number = number + 1; end;
COMMIT;
