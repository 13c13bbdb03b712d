"""autograd's names: its programs run with their imports changed alone, `from tapenet.compat.autograd import grad`.

`tapenet.compat.autograd.numpy` stands for `autograd.numpy`, and so on. What differs is in the page "Coming from autograd".
"""

from tapenet.compat.autograd.builtins import dict as dict
from tapenet.compat.autograd.builtins import isinstance as isinstance
from tapenet.compat.autograd.builtins import list as list
from tapenet.compat.autograd.builtins import tuple as tuple
from tapenet.compat.autograd.builtins import type as type
from tapenet.compat.autograd.differential_operators import deriv as deriv
from tapenet.compat.autograd.differential_operators import elementwise_grad as elementwise_grad
from tapenet.compat.autograd.differential_operators import grad as grad
from tapenet.compat.autograd.differential_operators import grad_and_aux as grad_and_aux
from tapenet.compat.autograd.differential_operators import grad_named as grad_named
from tapenet.compat.autograd.differential_operators import hessian as hessian
from tapenet.compat.autograd.differential_operators import hessian_tensor_product as hessian_tensor_product
from tapenet.compat.autograd.differential_operators import hessian_vector_product as hessian_vector_product
from tapenet.compat.autograd.differential_operators import holomorphic_grad as holomorphic_grad
from tapenet.compat.autograd.differential_operators import jacobian as jacobian
from tapenet.compat.autograd.differential_operators import make_ggnvp as make_ggnvp
from tapenet.compat.autograd.differential_operators import make_hvp as make_hvp
from tapenet.compat.autograd.differential_operators import make_jvp as make_jvp
from tapenet.compat.autograd.differential_operators import make_vjp as make_vjp
from tapenet.compat.autograd.differential_operators import multigrad_dict as multigrad_dict
from tapenet.compat.autograd.differential_operators import tensor_jacobian_product as tensor_jacobian_product
from tapenet.compat.autograd.differential_operators import value_and_grad as value_and_grad
from tapenet.compat.autograd.differential_operators import vector_jacobian_product as vector_jacobian_product
from tapenet.compat.autograd.extend import primitive as primitive
from tapenet.transforms.checkpoint import checkpoint as checkpoint
