# The public names: the one list, for people, type checkers and the first use at run time.
from .allocator import keep_freed_memory as keep_freed_memory
from .attribution import Heatmap as Heatmap, attribute as attribute
from .blackbox import BlackBoxExplainer as BlackBoxExplainer, Predictor as Predictor
from .callbacks import (
    BuildClassMeans as BuildClassMeans,
    ClassSamples as ClassSamples,
    ComponentMeansFromData as ComponentMeansFromData,
    CounterfactualGrid as CounterfactualGrid,
    CounterfactualPage as CounterfactualPage,
    CounterfactualTable as CounterfactualTable,
    CounterfactualWriter as CounterfactualWriter,
    HeatmapComparison as HeatmapComparison,
    JudgeCounterfactuals as JudgeCounterfactuals,
    LatentAtlas as LatentAtlas,
    LatentView as LatentView,
    MetricsJSON as MetricsJSON,
    PosteriorWriter as PosteriorWriter,
    ProgressLines as ProgressLines,
    RunCheckpoint as RunCheckpoint,
    StepCurves as StepCurves,
    StopOnNonFiniteLoss as StopOnNonFiniteLoss,
    StopOnSignal as StopOnSignal,
    make_callbacks as make_callbacks,
)
from .datamodules import (
    MNIST as MNIST,
    CelebAHQ as CelebAHQ,
    DrawnFaces as DrawnFaces,
    Factor as Factor,
    FakeMNIST as FakeMNIST,
    InMemoryDataModule as InMemoryDataModule,
    LabelledImages as LabelledImages,
)
from .ecinn import (
    Certificate as Certificate,
    Counterfactual as Counterfactual,
    Explainer as Explainer,
)
from .ecinn.class_means import ClassMeans as ClassMeans
from .exported import export as export
from .flows import FlowSettings as FlowSettings, ib_inn as ib_inn
from .latent import (
    latent_atlas as latent_atlas,
    latent_cosines as latent_cosines,
    latent_view as latent_view,
)
from .models import (
    Autoencoders as Autoencoders,
    ConvNetwork as ConvNetwork,
    GaussianMixture as GaussianMixture,
    GenerativeClassifier as GenerativeClassifier,
    InceptionNetwork as InceptionNetwork,
    Network as Network,
    import_ibinn as import_ibinn,
    load_autoencoders as load_autoencoders,
    load_classifier as load_classifier,
    load_model as load_model,
    load_network as load_network,
)
from .page import counterfactual_page as counterfactual_page, write_page as write_page
from .pictures.reading import read_images as read_images
from .training import (
    IBINN as IBINN,
    ClassAutoencoders as ClassAutoencoders,
    InceptionV3 as InceptionV3,
    SmallCNN as SmallCNN,
    epochs_within as epochs_within,
    find_settings as find_settings,
)

__version__: str
